"""How the database finds what reads ask for, among a few thousand customers: never by looking at all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from people import citizen, deliver, record
from served import Api, served
from sqlalchemy import Engine, event, text
