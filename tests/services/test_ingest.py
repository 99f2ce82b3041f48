"""What happens to records: attach, review or a new number; re-load, older snapshots, merges by the engine."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date

from people import citizen, deliver, golden, parties, record, scalar
from sqlalchemy import Engine

from ecif.db import transaction
from ecif.domain.identifier_kinds import IdentifierKind
from ecif.domain.records import Account, AccountStatus, PartyType
from ecif.services.context import KeyDigests
from ecif.services.customers import find, search_keys
from ecif.services.ingest import Fate

ID_A, ID_B = citizen(1), citizen(3)
HOME = "广东省深圳市南山区人民路9号丰泽新村26栋3单元1801室"


def test_one_number_for_one_person_in_two_systems(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A))
    deliver(engine, digests, record("card", "2", "张三丰", id=ID_A.lower()))
    assert parties(engine) == {frozenset({"core:1", "card:2"})}


def test_fifteen_and_eighteen_digits_are_one_number(engine: Engine, digests: KeyDigests) -> None:
    short = ID_A[:6] + ID_A[8:17]
    deliver(engine, digests, record("core", "1", "张三丰", id=short), record("card", "2", "张三丰", id=ID_A))
    assert parties(engine) == {frozenset({"core:1", "card:2"})}


def test_same_number_other_name_is_a_question(engine: Engine, digests: KeyDigests) -> None:
    result = deliver(engine, digests, record("core", "1", "张三丰", id=ID_A), record("card", "2", "李四光", id=ID_A))
    assert len(parties(engine)) == 2
    assert result.reviews_opened == 1
    assert scalar(engine, "SELECT level FROM merge_review WHERE closed_at IS NULL") == "M2"


def test_twins_stay_apart(engine: Engine, digests: KeyDigests) -> None:
    deliver(
        engine,
        digests,
        record("core", "1", "张文博", id=ID_A, phone="13912345670", address=HOME),
        record("core", "2", "张文渤", id=ID_B, phone="13912345670", address=HOME),
    )
    assert len(parties(engine)) == 2


def test_namesakes_with_one_birthday_stay_apart(engine: Engine, digests: KeyDigests) -> None:
    born = date(1990, 10, 1)
    deliver(
        engine,
        digests,
        record("core", "1", "张伟", born=born, phone="13912345670", male=True),
        record("card", "2", "张伟", born=born, phone="13912345671", male=True),
    )
    assert len(parties(engine)) == 2
    assert scalar(engine, "SELECT count(*) FROM merge_review") == 0


def test_name_birth_date_and_phone_are_enough_without_a_number(engine: Engine, digests: KeyDigests) -> None:
    born = date(1990, 1, 1)
    deliver(
        engine,
        digests,
        record("core", "1", "张三丰", id=ID_A, phone="13912345670"),
        record("ebank", "2", "张三丰", born=born, phone="+86 139-1234-5670"),
    )
    assert parties(engine) == {frozenset({"core:1", "ebank:2"})}


def test_a_record_that_fits_two_people_joins_neither(engine: Engine, digests: KeyDigests) -> None:
    """Two valid numbers, one phone, one name, one birthday: a record without a number is a question, not a bridge."""
    a = record("core", "1", "张三丰", id=ID_A, phone="13912345670")
    b = record("core", "2", "张三丰", id=ID_B, phone="13912345670")
    deliver(engine, digests, a, b)
    deliver(engine, digests, record("ebank", "3", "张三丰", born=date(1990, 1, 1), phone="13912345670"))
    assert len(parties(engine)) == 3
    assert scalar(engine, "SELECT count(*) FROM merge_review WHERE closed_at IS NULL") >= 2


def test_loading_again_changes_nothing(engine: Engine, digests: KeyDigests) -> None:
    one = record("core", "1", "张三丰", id=ID_A)
    deliver(engine, digests, one)
    events = scalar(engine, "SELECT count(*) FROM outbox_event")
    assert deliver(engine, digests, one).fates == [Fate.UNCHANGED]
    assert scalar(engine, "SELECT count(*) FROM outbox_event") == events
    assert scalar(engine, "SELECT count(*) FROM source_record_version") == 1


def test_an_older_snapshot_is_history_only(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone="13912345671", day=5))
    before = golden(engine)
    assert deliver(engine, digests, record("core", "1", "张三", id=ID_A, day=2)).fates == [Fate.HISTORY]
    assert golden(engine) == before
    assert scalar(engine, "SELECT count(*) FROM source_record_version") == 2


def test_a_bridge_merges_and_its_change_takes_the_merge_back(engine: Engine, digests: KeyDigests) -> None:
    born = date(1990, 1, 1)
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, address=HOME))
    deliver(engine, digests, record("ebank", "2", "张三丰", phone="13912345670", male=True))
    assert len(parties(engine)) == 2
    bridge = record("card", "3", "张三丰", id=ID_A, born=born, phone="13912345670", male=True)
    assert deliver(engine, digests, bridge).customers_merged == 1
    assert len(parties(engine)) == 1
    assert scalar(engine, "SELECT count(*) FROM party WHERE status = 'MERGED'") == 1
    deliver(engine, digests, record("card", "3", "张三丰", id=ID_A, born=born, phone="13912345679", male=True, day=9))
    assert len(parties(engine)) == 2
    assert scalar(engine, "SELECT count(*) FROM party WHERE status = 'MERGED'") == 0
    assert scalar(engine, "SELECT count(*) FROM party") == 2


def test_a_phone_of_many_names_says_nothing(engine: Engine, digests: KeyDigests) -> None:
    """The agent's phone counts while few hold it, and no more when many do: whoever came first."""
    pair = [
        record("core", "1", "张三丰", phone="13912345670", male=True),
        record("card", "2", "张三丰", phone="13912345670", male=True),
    ]
    others = [record("core", f"x{n}", f"{s}大海", phone="13912345670") for n, s in enumerate("王李赵钱孙周吴")]
    deliver(engine, digests, *pair)
    assert frozenset({"core:1", "card:2"}) in parties(engine)
    deliver(engine, digests, *others)
    assert len(parties(engine)) == 9


def test_a_number_under_many_names_is_a_placeholder(engine: Engine, digests: KeyDigests) -> None:
    people = [record("core", f"{n}", f"{s}大海", id=ID_A) for n, s in enumerate("王李赵钱孙周吴")]
    same = record("card", "1", "王大海", id=ID_A)
    deliver(engine, digests, *people, same)
    assert len(parties(engine)) == 8


def test_a_shop_is_not_its_owner(engine: Engine, digests: KeyDigests) -> None:
    shop = record("core", "2", "张三丰小吃店", phone="13912345670", party_type=PartyType.ORGANIZATION)
    deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone="13912345670"), shop)
    assert len(parties(engine)) == 2


def test_an_organisation_code_inside_a_credit_code_is_the_same_company(engine: Engine, digests: KeyDigests) -> None:
    name = "深圳市华兴科技有限公司"
    deliver(
        engine,
        digests,
        record("core", "1", name, id="91110108717743469K", kind=IdentifierKind.USCC, party_type=PartyType.ORGANIZATION),
        record("loan", "2", name, id="71774346-9", kind=IdentifierKind.ORG_CODE, party_type=PartyType.ORGANIZATION),
    )
    assert len(parties(engine)) == 1


def test_test_records_are_kept_apart(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "测试001", id=ID_A), record("core", "2", "测试001", id=ID_A))
    assert len(parties(engine)) == 2


def test_sixteen_loads_of_one_person_give_one_number(engine: Engine, digests: KeyDigests) -> None:
    """Claim, then search: whoever comes second waits, and sees the first."""
    records = [record("core", f"{n}", "张三丰", id=ID_A, phone="13912345670") for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda r: deliver(engine, digests, r), records))
    assert scalar(engine, "SELECT count(*) FROM party") == 1
    assert scalar(engine, "SELECT count(*) FROM link WHERE ended_at IS NULL") == 16


def test_the_same_record_by_sixteen_is_stored_once(engine: Engine, digests: KeyDigests) -> None:
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: deliver(engine, digests, record("core", "1", "张三丰", id=ID_A)), range(16)))
    assert sorted(fate for r in results for fate in r.fates) == [Fate.CREATED, *[Fate.UNCHANGED] * 15]
    assert scalar(engine, "SELECT count(*) FROM source_record_version") == 1


def test_events_count_without_gap_and_name_no_values(engine: Engine, digests: KeyDigests) -> None:
    for day in range(4):
        deliver(engine, digests, record("core", "1", "张三丰", id=ID_A, phone=f"1391234567{day}", day=day))
    assert scalar(engine, "SELECT array_agg(seq ORDER BY seq) FROM outbox_event") == [1, 2, 3, 4]
    assert scalar(engine, "SELECT string_agg(type, ',' ORDER BY seq) FROM outbox_event").startswith(
        "customer.created,customer.updated"
    )
    documents = scalar(engine, "SELECT string_agg(document, '') FROM outbox_event")
    assert "张三丰" not in documents and ID_A not in documents and "1391234567" not in documents


def test_versions_count_what_was_said_and_the_record_names_its_newest(engine: Engine, digests: KeyDigests) -> None:
    first, second, third = (record("core", "1", "张三丰", id=ID_A, phone=f"1391234567{n}", day=n) for n in range(3))
    assert deliver(engine, digests, first, first).fates == [Fate.CREATED, Fate.UNCHANGED]
    assert deliver(engine, digests, third, second).fates == [Fate.UPDATED, Fate.HISTORY]
    assert scalar(engine, "SELECT version FROM source_record") == 3
    stored = "SELECT array_agg(version ORDER BY business_time) FROM source_record_version"
    assert scalar(engine, stored) == [1, 2, 3]
    fourth = record("core", "1", "张三丰", id=ID_A, phone="13912345673", day=3)
    assert deliver(engine, digests, second, fourth).fates == [Fate.UNCHANGED, Fate.UPDATED]
    assert scalar(engine, stored) == [1, 2, 3, 4]


def test_a_corrected_party_type_keeps_the_number(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, record("core", "1", "张三丰小吃店"))
    no = scalar(engine, "SELECT customer_no FROM party")
    deliver(engine, digests, record("core", "1", "张三丰小吃店", party_type=PartyType.ORGANIZATION, day=1))
    assert scalar(engine, "SELECT customer_no || party_type FROM party") == f"{no}ORGANIZATION"


def test_a_masked_card_finds_nobody(engine: Engine, digests: KeyDigests) -> None:
    cards = (
        Account("622580******0002", "CREDIT", AccountStatus.NORMAL),
        Account("6225800000000002", "DEBIT", AccountStatus.NORMAL),
    )
    deliver(engine, digests, record("card", "1", "张三丰", id=ID_A, accounts=cards))
    deliver(engine, digests, record("card", "2", "李四光", id=ID_B, accounts=cards[:1]))
    with transaction(engine) as session:
        found = [find(session, digests, search_keys(account=card.number)) for card in cards]
    assert [len(nos) for nos in found] == [0, 1]
    assert scalar(engine, "SELECT count(*) FROM account WHERE digest IS NULL") == 2


def test_a_search_by_a_common_name_and_a_phone_finds_the_last_of_many(engine: Engine, digests: KeyDigests) -> None:
    deliver(engine, digests, *(record("core", f"{n}", "张三丰") for n in range(1100)))
    deliver(engine, digests, record("card", "1", "张三丰", phone="13912345670"))
    last = scalar(engine, "SELECT max(customer_no) FROM party")
    with transaction(engine) as session:
        assert find(session, digests, search_keys(name="张三丰", phone="13912345670")) == [last]
        assert find(session, digests, search_keys(name="李四光", phone="13912345670")) == []
        assert find(session, digests, search_keys(name="张三丰", phone="无")) == []
        first = find(session, digests, search_keys(name="张三丰"), limit=2)
        assert find(session, digests, search_keys(name="张三丰"), after=first[0], limit=1) == first[1:]
