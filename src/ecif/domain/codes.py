"""Every code table that bodies and answers of the API use (代码表), made of the enums, each code with its Chinese name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from ecif.domain.channels import CHANNELS, Channel
from ecif.domain.completeness import Element
from ecif.domain.customer_number import TYPE_DIGITS
from ecif.domain.document_life import STARTS, DocumentStage
from ecif.domain.events import EventType
from ecif.domain.existence import WHAT_TO_DO, Existence, Mode
from ecif.domain.field_groups import FieldGroup, fields_of
from ecif.domain.identifier_kinds import KINDS, ONE_PER_PARTY, IdentifierKind, NumberSpace
from ecif.domain.identifiers import USABLE, Validity
from ecif.domain.records import (
    AccountClass,
    AccountStatus,
    AddressKind,
    CustomerStatus,
    Gender,
    PartyType,
    PhoneKind,
    RecordStatus,
    RelationType,
)
from ecif.domain.survivorship import Rule

Row = Mapping[str, Any]
Table = tuple[Row, ...]

NAMES_ZH: Mapping[type[Enum], Mapping[str, str]] = {
    PartyType: {
        "PERSON": "个人",
        "ORGANIZATION": "对公",
    },
    Gender: {
        "MALE": "男",
        "FEMALE": "女",
    },
    RecordStatus: {
        "ACTIVE": "正常",
        "CLOSED": "已关闭",
        "ENDED": "源系统已删除",
    },
    CustomerStatus: {
        "ACTIVE": "正常",
        "CLOSED": "已销户",
        "RESTRICTED": "已限制处理",
        "DECEASED": "已死亡",
    },
    PhoneKind: {
        "MOBILE": "手机",
        "HOME": "住宅电话",
        "WORK": "单位电话",
        "OTHER": "其他电话",
    },
    AddressKind: {
        "HOME": "住址",
        "REGISTERED": "注册地址或户籍地址",
        "WORK": "单位地址",
        "CONTACT": "联系地址",
    },
    RelationType: {
        "LEGAL_REPRESENTATIVE": "法定代表人",
        "SPOUSE": "配偶",
        "GUARDIAN": "监护人",
    },
    AccountStatus: {
        "NORMAL": "正常",
        "FROZEN": "冻结",
        "DORMANT": "久悬",
        "CLOSED": "已销户",
    },
    AccountClass: {
        "I": "I 类户",
        "II": "II 类户",
        "III": "III 类户",
    },
    NumberSpace: {
        "CITIZEN": "公民身份号码",
        "HMT_RESIDENCE": "港澳台居民居住证号码",
        "FPR": "外国人永久居留证号码",
        "HM_PERMIT": "港澳居民来往内地通行证号码",
        "TW_PERMIT": "台湾居民来往大陆通行证号码",
        "PASSPORT": "护照号码",
        "MILITARY": "军人证件号码",
        "POLICE": "警官证号码",
        "BIRTH_CERT": "出生医学证明编号",
        "HKID": "香港身份证号码",
        "MOID": "澳门身份证号码",
        "TWID": "台湾身份证号码",
        "OTHER_P": "其他个人证件号码",
        "USCC": "统一社会信用代码",
        "ORG_CODE": "组织机构代码",
        "BIZ_REG_NO": "营业执照注册号",
        "TAX_NO": "纳税人识别号",
        "INST_CERT": "事业单位等登记证号",
        "ZZM": "中征码",
        "LEI": "全球法人识别编码",
        "OTHER_O": "其他机构证件号码",
    },
    Validity: {
        "VALID": "校验通过",
        "WELL_FORMED": "格式正确, 无校验位",
        "DOUBTFUL": "校验位存疑",
        "INVALID": "无效",
        "MASKED": "部分隐藏",
        "PLACEHOLDER": "占位值",
        "MISSING": "缺失",
    },
    DocumentStage: {
        "VALID": "有效",
        "EXPIRING": "即将到期",
        "EXPIRED": "已过期",
        "RESTRICT_NONCOUNTER": "限制非柜面业务",
    },
    EventType: {
        "CREATED": "客户新建",
        "UPDATED": "客户信息变更",
        "KEY_IDENTITY_CHANGED": "关键身份信息变更",
        "STATUS_CHANGED": "客户状态变更",
        "CLOSED": "客户销户",
        "RESTRICTED": "客户限制处理",
        "MERGED": "客户合并",
        "UNMERGED": "撤销合并",
        "SPLIT": "客户拆分",
        "DOCUMENT_EXPIRING": "证件即将到期",
        "DOCUMENT_EXPIRED": "证件已过期",
        "DOCUMENT_RESTRICTED": "证件过期超过宽限期",
    },
    Mode: {
        "STRICT": "柜面开户",
        "LOOKUP": "系统查找",
        "DISPLAY": "展示",
    },
    Existence: {
        "NOT_FOUND": "未找到",
        "EXISTS": "已存在",
        "EXISTS_REDIRECTED": "已存在, 号码已合并",
        "EXISTS_CLOSED": "已存在, 已销户",
        "SAME_ID_DIFFERENT_NAME": "同号不同名",
        "AMBIGUOUS": "命中多个",
        "SUSPECT": "疑似",
        "INVALID_ID": "证件号码无效",
        "PLACEHOLDER_ID": "证件号码为占位值",
    },
    FieldGroup: {
        "KEY_IDENTITY": "关键身份",
        "CONTACT": "联系方式",
        "ORDINARY": "一般",
        "DERIVED": "派生",
        "SOURCE_OWNED": "源系统所有",
    },
    Element: {
        "NAME": "姓名或名称",
        "GENDER": "性别",
        "NATIONALITY": "国籍",
        "OCCUPATION": "职业",
        "ADDRESS": "地址",
        "PHONE": "联系电话",
        "IDENTIFIER": "证件种类与号码",
        "VALIDITY": "证件有效期",
    },
    Rule: {
        "SOURCE_PRIORITY": "按来源优先级",
        "MOST_RECENT": "取最近",
        "EARLIEST": "取最早",
        "DERIVED": "由证件号码推出",
    },
}
"""Chinese names by the names of the members, for the enums whose own table has none."""


def table(enum: type[Enum], names: Mapping[str, str], more: Callable[[Any], Row] = lambda _: {}) -> Table:
    """The rows of an enum: the code, its Chinese name, and what else is said of each member."""
    return tuple({"code": _code(member), "name_zh": names[member.name], **more(member)} for member in enum)


def _code(member: Enum) -> str:
    return member.value if isinstance(member.value, str) else member.name


def _table(enum: type[Enum], more: Callable[[Any], Row] = lambda _: {}) -> Table:
    return table(enum, NAMES_ZH[enum], more)


def _kind(kind: IdentifierKind) -> Row:
    info = KINDS[kind]
    party_type = PartyType.PERSON if info.person else PartyType.ORGANIZATION
    return {"number_space": info.space.value, "party_type": party_type.value}


def _days(stage: DocumentStage) -> Row:
    """From which day on, counted from the last day of the document."""
    return {"from_day": STARTS[stage].days if stage in STARTS else None}


TABLES: Mapping[str, Table] = {
    "party_types": _table(PartyType, lambda p: {"number_begins_with": TYPE_DIGITS[p]}),
    "customer_statuses": (
        *_table(CustomerStatus),
        {"code": "MERGED", "name_zh": "已合并"},
    ),
    "genders": _table(Gender),
    "identifier_kinds": table(IdentifierKind, {kind.name: info.name_zh for kind, info in KINDS.items()}, _kind),
    "number_spaces": _table(NumberSpace, lambda s: {"one_per_party": s in ONE_PER_PARTY}),
    "identifier_validities": _table(Validity, lambda v: {"usable": v in USABLE}),
    "document_stages": _table(DocumentStage, _days),
    "phone_kinds": _table(PhoneKind),
    "address_kinds": _table(AddressKind),
    "relation_types": _table(RelationType),
    "account_statuses": _table(AccountStatus),
    "account_classes": _table(AccountClass),
    "record_statuses": _table(RecordStatus),
    "channels": table(
        Channel, {c.name: info.name_zh for c, info in CHANNELS.items()}, lambda c: {"strong": CHANNELS[c].strong}
    ),
    "existence_modes": _table(Mode),
    "existence_results": _table(
        Existence, lambda e: {"what_to_do_zh": WHAT_TO_DO[e][0], "what_to_do_en": WHAT_TO_DO[e][1]}
    ),
    "elements": _table(Element),
    "field_groups": _table(FieldGroup, lambda g: {"fields": fields_of(g)}),
    "survivorship_rules": _table(Rule),
    "event_types": _table(EventType),
}
"""Table name → its rows, each with ``code`` and ``name_zh``, in the order of the enum."""
