"""A demo bank: made people and companies as four systems export them, with dirt, the same for one seed everywhere."""

from ecif.demo.bank import generate

__all__ = ["generate"]
