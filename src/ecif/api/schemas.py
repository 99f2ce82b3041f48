"""What answers look like, for the contract alone: nothing is checked or copied when an answer is sent.

:data:`ANSWERS` is merged into the contract; the tests hold every real answer of the API against it. A field may be added to
an answer at any time, so readers ignore what they do not know.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import TypedDict

from ecif.api.by_hand import BODIES, SCHEMAS
from ecif.domain.records import PartyType

No = Annotated[str, Field(pattern="^[0-9]{12}$", description="客户号 customer number")]
Day = Annotated[str, Field(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="perhaps masked as 1990-**-**")]
Date = Annotated[str, Field(json_schema_extra={"format": "date"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Place = Annotated[
    str, Field(pattern="^([0-9]{12}|new-[0-9]+)$", description="客户号; new-1 is one that a preview would issue")
]
Item = dict[str, Any]
Next = Annotated[str | None, Field(description="`after` of the next page; null on the last")]


class Health(TypedDict):
    """健康状态"""

    status: str


class Check(TypedDict):
    """One condition of readiness, and what to do where it does not hold."""

    ok: bool
    message_zh: NotRequired[str]
    message_en: NotRequired[str]


class Ready(Health):
    """就绪状态"""

    checks: dict[str, Check]


class Source(TypedDict):
    """来源: which source record says so, and as of when."""

    system: str
    key: str
    as_of: Moment


class Lost(Source):
    """A value that another one won over, and why."""

    value: Any
    reason: str


class Told(Source):
    """A value, who says it, by which rule it won and over what."""

    value: Any
    rule: str
    lost: NotRequired[list[Lost]]


class _Entry(TypedDict):
    sources: NotRequired[Annotated[list[Source], Field(description="with provenance")]]


class Identifier(_Entry):
    """证件"""

    kind: str | None
    space: str
    number: str
    validity: str
    valid_to: Date | None


class Alias(_Entry):
    """曾用名及其他写法 A name as some source writes it."""

    kind: str
    name: str


class Phone(_Entry):
    """电话"""

    kind: str
    number: str
    virtual: bool


class Address(_Entry):
    """地址"""

    kind: str
    text: str


class Email(_Entry):
    """电子邮箱"""

    address: str


class GoldenRecord(TypedDict):
    """统一视图 The golden record; the sections that were asked for are there, values perhaps masked."""

    customer_no: No
    party_type: PartyType
    status: str
    closed_on: NotRequired[Date | None]
    deceased_on: NotRequired[Date]
    policy_version: str
    legal_entities: list[str]
    branches: list[str]
    source_records: int
    fields: NotRequired[Annotated[dict[str, str | Told], Field(description="plain, or with provenance if asked for")]]
    identifiers: NotRequired[list[Identifier]]
    aliases: NotRequired[list[Alias]]
    phones: NotRequired[list[Phone]]
    addresses: NotRequired[list[Address]]
    emails: NotRequired[list[Email]]


class Merged(TypedDict):
    """合并占位 What takes the place of the golden record of a number that was merged."""

    customer_no: No
    party_type: PartyType
    status: str
    merged_into: No


class _Redirect(TypedDict):
    requested_no: No
    customer_no: No
    redirected: bool


class Customer(_Redirect, GoldenRecord):  # type: ignore[misc]
    """The golden record of the number asked for, or of the one it was merged into; of no version, if it never was one."""

    version: NotRequired[int]


class Customers(TypedDict):
    """Golden records in the order in which they were asked for, and the numbers that were never issued."""

    items: list[Customer]
    missing: list[No]


class CustomerPage(TypedDict):
    """A page of customers, each with its fields."""

    items: list[GoldenRecord]
    next_after: Next


class _Part(TypedDict):
    system: str
    key: str


class Account(_Part):
    """账户"""

    position: int
    number: str
    kind: str
    status: str
    account_class: str | None
    opened_on: Date | None
    branch: str
    legal_entity: str


class Relation(_Part):
    """客户间关系"""

    position: int
    type: str
    name: str
    customer_nos: list[No]


class SourceRecord(_Part):
    """源记录"""

    legal_entity: str
    branch: str
    version: int
    business_time: Moment
    rule: str
    origin: str
    policy_version: str
    started_at: Moment


class Change(TypedDict):
    """变更登记: the call that made a version."""

    action: str
    caller: str
    operator: str
    channel: str
    branch: str
    business_date: Date | None
    reason: str
    evidence: str
    request_id: str
    changed_at: Moment


class Version(TypedDict):
    """历史版本"""

    customer_no: No
    version: int
    recorded_at: Moment
    change: Annotated[Change | None, Field(description="none where it came in a file")]
    record: GoldenRecord | Merged


class AccountPage(_Redirect):
    """A page of accounts."""

    items: list[Account]
    next_after: Next


class RelationPage(_Redirect):
    """A page of relations."""

    items: list[Relation]
    next_after: Next


class SourcePage(_Redirect):
    """A page of source records."""

    items: list[SourceRecord]
    next_after: Next


class VersionPage(_Redirect):
    """A page of versions, newest first."""

    items: list[Version]
    next_after: Next


class Event(TypedDict):
    """变更事件"""

    id: str
    type: str
    source: str
    subject: No
    time: Moment
    seq: int
    data: dict[str, Any]


class EventPage(TypedDict):
    """A page of events; `next_after` is kept by the reader, also of an empty page."""

    items: list[Event]
    next_after: int
    more: bool


class Code(TypedDict):
    """代码"""

    code: str
    name_zh: str
    name_en: NotRequired[str]


class CodeTable(TypedDict):
    """代码表"""

    table: str
    items: list[Code]


class CodeTables(TypedDict):
    """All code tables, by their names."""

    tables: dict[str, list[Code]]


class Fault(TypedDict):
    """What is wrong with a number that was sent."""

    field: str
    rule: str
    message_zh: str
    message_en: str


class Completeness(TypedDict):
    """完整度 How much of what a counter asks for is known."""

    percent: int
    missing: list[str]


class Candidate(TypedDict):
    """疑似客户 Whom the bank may mean."""

    customer_no: No
    status: str
    name: str | None
    level: str
    rule: str
    score: float
    agrees: list[str]
    conflicts: list[str]


class _Existence(TypedDict):
    status: NotRequired[str]
    closed_on: NotRequired[Date | None]
    name: NotRequired[str | None]
    completeness: NotRequired[Completeness]
    accounts: NotRequired[Annotated[dict[str, int], Field(description="how many of each kind")]]
    flags: NotRequired[list[str]]
    requested_no: NotRequired[No]
    candidates: NotRequired[list[Candidate]]
    more: NotRequired[Annotated[int, Field(description="candidates that are not told")]]


class Existence(_Existence):
    """存在性检查结果 Whether the customer exists, and what to do; masked."""

    result: str
    action_zh: str
    action_en: str
    customer_no: NotRequired[No]
    version: NotRequired[int]
    errors: list[Fault]
    warnings: list[Fault]


class Opened(_Existence):
    """The number that was issued, or the one that the customer has."""

    customer_no: No
    version: int
    created: bool
    result: NotRequired[str]


class Delivered(_Part):
    """What became of a source record, and where it is now."""

    fate: str
    record_version: int
    customer_no: No
    version: int


class DeliveredOfBatch(Delivered):
    """One of a batch."""

    index: int


class RefusedOfBatch(TypedDict):
    """One of a batch that was not valid, with its problem document."""

    index: int
    problem: dict[str, Any]


class Batch(TypedDict):
    """A result for each, in the order in which they were sent."""

    results: list[DeliveredOfBatch | RefusedOfBatch]


class NotApplied(TypedDict):
    """A change that another source won over."""

    field: str
    reason: str
    system: str
    key: str


class Changed(_Redirect):
    """What was changed, and what was not."""

    version: int
    changed: list[str]
    not_applied: list[NotApplied]


class Waits(Changed):
    """待复核 The change waits for a second person."""

    change_request: int
    status: str


class ChangeRequest(TypedDict):
    """复核申请."""

    id: int
    customer_no: No
    status: str
    fields: list[str]
    after: dict[str, Any]
    reason: str
    evidence: str
    maker: str
    channel: str
    branch: str
    made_at: Moment
    checker: str | None
    note: str | None
    decided_at: Moment | None


class ChangeRequestPage(TypedDict):
    """A page of change requests."""

    items: list[ChangeRequest]
    next_after: Annotated[int | None, Field(description="`after` of the next page; null on the last")]


class Decided(TypedDict):
    """A change request that was turned down."""

    change_request: int
    status: str


class RecordNamed(TypedDict):
    """源记录 A source record by its name."""

    system: str
    key: str


class Led(_Redirect):
    """A number that was asked for, and the one that it leads to."""


class MovedPart(TypedDict):
    """What moves; ``items`` are the first of ``total``."""

    items: list[Item]
    total: int


class _Regrouped(TypedDict):
    survivor: Place
    retired: list[No]
    resurrected: list[No]
    created: list[Place]
    moved: MovedPart


class Outcome(_Regrouped):
    """What an operation did."""


class Operation(TypedDict):
    """归并操作"""

    id: int
    kind: str
    status: str
    customer_no: No
    request: dict[str, Any]
    reason: str
    evidence: str
    override: list[str]
    maker: str
    caller: str
    made_at: Moment
    checker: str | None
    note: str | None
    decided_at: Moment | None
    outcome: Outcome | None
    reverses: Annotated[int | None, Field(description="the merge that it undoes")]
    reversed_at: Moment | None
    members: NotRequired[list[Led]]


class _OfCustomer(TypedDict):
    """Of a list that was asked for by a customer's number: where that leads."""

    requested_no: NotRequired[No]
    customer_no: NotRequired[No]
    redirected: NotRequired[bool]


class OperationPage(_OfCustomer):
    """A page of operations."""

    items: list[Operation]
    next_after: Annotated[int | None, Field(description="`after` of the next page; null on the last")]


class Judgement(TypedDict):
    """人工裁决"""

    id: int
    records: list[RecordNamed]
    verdict: str
    standing: bool
    reason: str
    person: str
    operation_id: int | None
    made_at: Moment


class JudgementPage(TypedDict):
    """A page of judgements, newest first."""

    items: list[Judgement]
    next_after: Annotated[int | None, Field(description="`after` of the next page; null on the last")]


class MergeFinding(TypedDict):
    """合并规则 A rule that holds, and what would lift it."""

    rule: str
    level: str
    lift: str
    message_zh: str
    message_en: str
    follow_up_zh: Annotated[str | None, Field(description="what has to be done after the merge, if anything")]
    follow_up_en: str | None
    data: dict[str, Any]


class FieldOf(TypedDict):
    """A field of one customer: its value, who says it, and what lost to it."""

    customer_no: Place
    value: Any
    system: NotRequired[str]
    key: NotRequired[str]
    as_of: NotRequired[Moment]
    rule: NotRequired[str]
    lost: NotRequired[list[Lost]]


class FieldChange(TypedDict):
    """A field before and after, of every customer that has it."""

    field: str
    before: list[FieldOf]
    after: list[FieldOf]


class ListOf(TypedDict):
    """A list of one customer; ``items`` are the first of ``total``."""

    customer_no: Place
    items: list[Item]
    total: int


class ListChange(TypedDict):
    """A list before and after."""

    part: str
    before: list[ListOf]
    after: list[ListOf]


class HeldBy(TypedDict):
    """How much a customer holds."""

    customer_no: Place
    total: int


class Holdings(TypedDict):
    """What moves of a kind of thing that customers hold, and how much each holds then."""

    kind: str
    moves: MovedPart
    after: list[HeldBy]


class _Preview(_Regrouped):
    fields: list[FieldChange]
    parts: list[ListChange]
    holdings: list[Holdings]
    blockers: list[MergeFinding]
    warnings: list[MergeFinding]


class MergePreview(_Preview):
    """预览 What a merge or a split would do."""

    members: list[Led]


class SinceList(TypedDict):
    """What happened; ``more`` says that the list was cut off."""

    items: list[Item]
    more: bool


class Since(TypedDict):
    """影响范围 What came and was done under the merged number since, wherever it led (`numbers`)."""

    numbers: SinceList
    arrived: SinceList
    events: SinceList
    checks: SinceList
    clear_reads: SinceList
    change_requests: SinceList
    operations: SinceList
    accounts: SinceList
    relations: SinceList


class ReversePreview(_Preview):
    """撤销预览 What an undo would do."""

    since: Since


class MergeReview(TypedDict):
    """疑似合并审核 A line of the queue."""

    id: int
    kind: str
    state: str
    customers: list[No]
    level: Annotated[str, Field(description="证据级别 of the strongest pair")]
    rule: str
    policy_version: Annotated[str, Field(description="规则版本")]
    risk: int
    priority: Annotated[int | None, Field(description="risk × age in seconds; null once closed")]
    version: int
    claimed_by: str | None
    claimed_at: Moment | None
    opened_at: Moment
    closed_at: Moment | None
    outcome: str | None
    operation: Annotated[int | None, Field(description="the merge that was asked for")]


class MergeReviewPage(_OfCustomer):
    """A page of the queue."""

    items: list[MergeReview]
    next_after: Next


class EvidenceItem(TypedDict):
    """比对项: how two values of a field compare, why, and what it counts for."""

    field: str
    level: str
    reason: str
    points: float


class EvidencePair(TypedDict):
    """疑似对: two source records, and what agrees and conflicts between them."""

    source_records: list[_Part]
    level: str
    rule: str
    meaning: str
    score: int
    held: Annotated[bool, Field(description="one by the rule, but held apart by something else")]
    agrees: list[EvidenceItem]
    conflicts: list[EvidenceItem]
    missing: list[str]


class ReviewRisk(TypedDict):
    """风险项"""

    rule: str
    points: int
    message_zh: str
    message_en: str


class NameBearers(TypedDict):
    """How many source records bear the customer's name; `more`: it is as common as any."""

    customer_no: No
    records: int
    more: bool


class ReviewedGolden(TypedDict):
    """The golden record of a customer of a review."""

    customer_no: No
    version: int
    record: GoldenRecord | Merged


ReviewedRecord = TypedDict("ReviewedRecord", {"system": str, "key": str, "from": No | None, "to": No | None})
ReviewedRecord.__doc__ = (
    "A record that may be in the wrong place: it moved by itself (from, to), or no longer fits its customer."
)


class FollowUp(MergeFinding):
    """合并后续事项 What a merge left to be done, and which merge."""

    operation: int


class WholeMergeReview(MergeReview):
    """审核详情 A review with its evidence."""

    recommended: str
    follow_ups: Annotated[list[FollowUp], Field(description="what merges left to be done")]
    risks: list[ReviewRisk]
    pairs: list[EvidencePair]
    more_pairs: int
    records: Annotated[list[ReviewedRecord], Field(description="the first of those in question")]
    more_records: int
    names: list[NameBearers]
    golden: list[ReviewedGolden]


class ReviewEntry(TypedDict):
    """审核记录"""

    id: int
    action: str
    state_before: str
    person: str
    text: str
    evidence: Annotated[str, Field(description="where the proof is kept")]
    bulk_id: int | None
    made_at: Moment


class ReviewEntryPage(TypedDict):
    """A page of the history of a review, oldest first."""

    items: list[ReviewEntry]
    next_after: Annotated[int | None, Field(description="`after` of the next page; null on the last")]


class MergeReviewOfBulk(MergeReview):
    """A review, and what a decision on many would make of it."""

    result: str


class BulkPreview(TypedDict):
    """批量裁决预览"""

    decision: str
    count: int
    results: Annotated[dict[str, int], Field(description="how many, by result")]
    seen: str
    items: list[MergeReviewOfBulk]


class BulkResult(TypedDict):
    """What became of one review."""

    review: int
    result: str


class BulkDecision(TypedDict):
    """批量裁决"""

    bulk_decision: int
    results: list[BulkResult]


PROBLEM = None
"""A problem document."""
Answers = dict[int, type | None]


def _once(answers: Answers) -> Answers:
    """Of a call that takes an Idempotency-Key."""
    return {**answers, 409: PROBLEM}


ANSWERS: dict[str, Answers] = {
    "healthz": {200: Health},
    "readyz": {200: Ready},
    "search_customers": {200: CustomerPage},
    "get_customer": {200: Customer},
    "get_customers": {200: Customers},
    "get_lineage": {200: Customer},
    "get_accounts": {200: AccountPage},
    "get_relations": {200: RelationPage},
    "get_sources": {200: SourcePage},
    "get_history": {200: VersionPage},
    "read_events": {200: EventPage},
    "get_code_tables": {200: CodeTables},
    "get_code_table": {200: CodeTable},
    "check_existence": _once({200: Existence}),
    "open_new_customer": _once({200: Opened, 201: Opened}),
    "change_customer": _once({200: Changed, 202: Waits, 412: PROBLEM, 428: PROBLEM}),
    "close_customer": _once({200: Changed, 412: PROBLEM}),
    "restrict_customer": _once({200: Changed, 412: PROBLEM}),
    "mark_customer_deceased": _once({200: Changed, 412: PROBLEM}),
    "reactivate_customer": _once({200: Changed, 412: PROBLEM}),
    "list_change_requests": {200: ChangeRequestPage},
    "get_change_request": {200: ChangeRequest},
    "approve_change": _once({200: Changed}),
    "reject_change": _once({200: Decided}),
    "put_source_record": _once({200: Delivered, 201: Delivered}),
    "end_source_record": _once({200: Delivered}),
    "put_source_records": _once({200: Batch}),
    "preview_merge": {200: MergePreview, 409: PROBLEM},
    "ask_merge": _once({200: Operation, 202: Operation}),
    "preview_reverse": {200: ReversePreview, 409: PROBLEM},
    "ask_reverse": _once({202: Operation}),
    "preview_split": {200: MergePreview, 409: PROBLEM},
    "ask_split": _once({202: Operation, 412: PROBLEM}),
    "list_operations": {200: OperationPage},
    "get_operation": {200: Operation},
    "approve_operation": _once({200: Operation}),
    "reject_operation": _once({200: Operation}),
    "withdraw_operation": _once({200: Operation}),
    "judge": _once({201: Judgement, 202: Operation}),
    "list_judgements": {200: JudgementPage},
    "list_merge_reviews": {200: MergeReviewPage},
    "get_merge_review": {200: WholeMergeReview},
    "get_review_history": {200: ReviewEntryPage},
    "claim_review": _once({200: MergeReview, 412: PROBLEM}),
    "release_review": _once({200: MergeReview, 412: PROBLEM}),
    "comment_review": _once({200: MergeReview}),
    "decide_review": _once({200: MergeReview, 202: MergeReview, 412: PROBLEM, 428: PROBLEM}),
    "preview_bulk": {200: BulkPreview},
    "decide_bulk": _once({200: BulkDecision, 412: PROBLEM}),
    "undo_bulk": _once({200: BulkDecision, 412: PROBLEM}),
}
"""By the name of the route's function: what it answers, beside the problems that its signature names."""


class _Plain(GenerateJsonSchema):
    """As the framework writes the schemas of bodies: what may be left out has no default of null."""

    def default_schema(self, schema: Any) -> dict[str, Any]:
        found = super().default_schema(schema)
        return {k: v for k, v in found.items() if (k, v) != ("default", None)}


def schemas() -> dict[str, Any]:
    """The schemas of all answers, and of bodies taken by hand, by their names."""
    answers = {model for answers in ANSWERS.values() for model in answers.values() if model}
    return _schemas(answers, GenerateJsonSchema) | _schemas(BODIES, _Plain)


def _schemas(models: Collection[Any], generator: type[GenerateJsonSchema]) -> dict[str, Any]:
    wanted: Any = [(m, "validation", TypeAdapter(m)) for m in sorted(models, key=lambda model: model.__name__)]
    _, found = TypeAdapter.json_schemas(wanted, ref_template=SCHEMAS, schema_generator=generator)
    return dict(found["$defs"])
