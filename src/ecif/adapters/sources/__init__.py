"""Files of the source systems in: a contract says what a file looks like, a reader reads it, a mapper makes records."""

from ecif.adapters.sources.contract import Contract, ContractError, load_contract
from ecif.adapters.sources.loading import LoadReport, load_file
from ecif.adapters.sources.mapping import Mapper
from ecif.adapters.sources.reader import SourceFile, SourceFileError

__all__ = [
    "Contract",
    "ContractError",
    "LoadReport",
    "Mapper",
    "SourceFile",
    "SourceFileError",
    "load_contract",
    "load_file",
]
