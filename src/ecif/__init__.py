"""ecif: the customer master-data service of a bank (企业级客户信息系统)."""

__version__ = "0.1.0"
