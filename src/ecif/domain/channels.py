"""Channels through which customers are opened and changed (渠道), and what each may do: a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ecif.domain.completeness import Profile


class Channel(StrEnum):
    """渠道."""

    COUNTER = "COUNTER"
    EBANK = "EBANK"
    MOBILE = "MOBILE"
    PHONE = "PHONE"
    WECHAT = "WECHAT"
    ATM = "ATM"
    API = "API"


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """One row.

    Attributes:
        strong: authenticates strongly, so that it may change the phone that authenticates the customer elsewhere.
        profile: what it has to state of a new customer.
        confirms: a clerk sees the customer and may say of suspects whether they are the same.
    """

    name_zh: str
    strong: bool
    profile: Profile
    confirms: bool = False


CHANNELS: Mapping[Channel, ChannelInfo] = {
    Channel.COUNTER: ChannelInfo("柜面", True, Profile.COUNTER, confirms=True),
    Channel.EBANK: ChannelInfo("网上银行", True, Profile.BASIC),
    Channel.MOBILE: ChannelInfo("手机银行", True, Profile.BASIC),
    Channel.PHONE: ChannelInfo("电话银行", False, Profile.BASIC),
    Channel.WECHAT: ChannelInfo("微信银行", False, Profile.BASIC),
    Channel.ATM: ChannelInfo("自助设备", False, Profile.BASIC),
    Channel.API: ChannelInfo("行内系统", False, Profile.BASIC),
}


def system_of(channel: Channel) -> str:
    """The source system under whose name a channel's own records are kept."""
    return channel.value.lower()
