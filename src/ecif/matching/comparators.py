"""One comparator a field: two records' features in, a level and its reason out. All are symmetric."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from itertools import product
from types import MappingProxyType

from rapidfuzz.distance import OSA

from ecif.domain.addresses import AddressRelation, relate_addresses
from ecif.domain.company_names import CompanyNameRelation, normalize_company_name, relate_company_names
from ecif.domain.names import NameRelation, PersonName, normalize_person_name, relate_person_names
from ecif.domain.records import PartyType
from ecif.matching.features import Features
from ecif.matching.types import Comparison, Field, Level

Shared = Mapping[str, int]
"""Values that parties of several names hold (as they stand in the features), and of how many incompatible names."""

NOTHING_SHARED: Shared = MappingProxyType({})

FAMILY_MAX = 5
"""Up to so many names, a shared phone is a family's and weak; above, it says nothing (one phone, one identity is the
rule of 银发〔2016〕261号, with reasonable exceptions)."""
NAMES_MAX = 5
"""An identity number under more names than this is a placeholder."""

_CITIZEN_LENGTH = len("CITIZEN:") + 18

Comparator = Callable[[Features, Features, Shared], Comparison]

PERSON_NAME_LEVELS: Mapping[NameRelation, Level] = {
    NameRelation.EQUAL: Level.EQUAL,
    NameRelation.TRADITIONAL: Level.VARIANT,
    NameRelation.DOT: Level.VARIANT,
    NameRelation.WILDCARD: Level.PARTIAL,
    NameRelation.PINYIN: Level.PARTIAL,
    NameRelation.TRUNCATED: Level.PARTIAL,
    NameRelation.SUBSET: Level.PARTIAL,
    NameRelation.HOMOPHONE: Level.PARTIAL,  # another name, unless an identity number says it is one person's
    NameRelation.ONE_CHARACTER: Level.NEAR,
    NameRelation.DIFFERENT: Level.DIFFERENT,
    NameRelation.MISSING: Level.MISSING,
}

COMPANY_NAME_LEVELS: Mapping[CompanyNameRelation, Level] = {
    CompanyNameRelation.EQUAL: Level.EQUAL,
    CompanyNameRelation.FORM_VARIANT: Level.VARIANT,
    CompanyNameRelation.REGION_VARIANT: Level.VARIANT,
    CompanyNameRelation.ABBREVIATION: Level.PARTIAL,
    CompanyNameRelation.TRUNCATED: Level.PARTIAL,
    CompanyNameRelation.RENAMED_FORM: Level.PARTIAL,
    CompanyNameRelation.ONE_CHARACTER: Level.NEAR,
    CompanyNameRelation.INDUSTRY_DIFFERENT: Level.NEAR,
    CompanyNameRelation.TRADE_DIFFERENT: Level.DIFFERENT,
    CompanyNameRelation.REGION_CONFLICT: Level.DIFFERENT,
    CompanyNameRelation.BRANCH: Level.DIFFERENT,
    CompanyNameRelation.DIFFERENT: Level.DIFFERENT,
    CompanyNameRelation.MISSING: Level.MISSING,
}

ADDRESS_LEVELS: Mapping[AddressRelation, Level] = {
    AddressRelation.SAME: Level.EQUAL,
    AddressRelation.SAME_BUILDING: Level.PARTIAL,
    AddressRelation.SAME_ESTATE: Level.PARTIAL,
    AddressRelation.NEIGHBOUR: Level.NEAR,
    AddressRelation.SAME_DISTRICT: Level.DIFFERENT,
    AddressRelation.DIFFERENT: Level.DIFFERENT,
    AddressRelation.MISSING: Level.MISSING,
}


def _spaces(numbers: tuple[str, ...], shared: Shared) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for number in numbers:
        if shared.get(number, 1) <= NAMES_MAX:
            found.setdefault(number.partition(":")[0], set()).add(number)
    return found


def two_parties(x: str, y: str, unchecked: Collection[str]) -> bool:
    """Whether two numbers of one space say two parties: they differ, and not by a slip in one without a check digit."""
    if x == y:
        return False
    return not (x in unchecked or y in unchecked) or OSA.distance(x[:-1], y[:-1], score_cutoff=1) > 1


def stated(a: Features, b: Features, shared: Shared) -> Comparison:
    """That they are one was said of a record written onto a known customer; that they are two, when it was opened."""
    if a.name in b.not_same_as or b.name in a.not_same_as:
        return Comparison(Field.STATED, Level.DIFFERENT, "SAID_NOT_SAME")
    if a.name in b.same_as or b.name in a.same_as:
        return Comparison(Field.STATED, Level.EQUAL, "SAID_SAME")
    return Comparison(Field.STATED, Level.MISSING, "MISSING")


def identifier(a: Features, b: Features, shared: Shared) -> Comparison:
    """Equal in one space is EQUAL; two valid numbers in one space that differ are two parties (twins' numbers too)."""
    ours, theirs = _spaces(a.strong + a.replaced, shared), _spaces(b.strong + b.replaced, shared)
    if not ours or not theirs:
        return Comparison(Field.IDENTIFIER, Level.MISSING, "MISSING")
    common = [s for s in ours if s in theirs]
    if not common:
        return Comparison(Field.IDENTIFIER, Level.MISSING, "OTHER_SPACE")
    equal = [s for s in common if ours[s] & theirs[s]]
    other = (pair for s in common if s not in equal for pair in product(ours[s], theirs[s]))
    if any(two_parties(x, y, (*a.unchecked, *b.unchecked)) for x, y in other):
        return Comparison(Field.IDENTIFIER, Level.DIFFERENT, "TWO_VALID_NUMBERS")
    if not equal:
        return Comparison(Field.IDENTIFIER, Level.MISSING, "OLD_NUMBER_MISTYPED")
    return Comparison(Field.IDENTIFIER, Level.EQUAL, f"SAME_{min(equal)}")


def document(a: Features, b: Features, shared: Shared) -> Comparison:
    """Weak documents change at renewal, so that a difference says nothing."""
    if not a.documents or not b.documents:
        return Comparison(Field.DOCUMENT, Level.MISSING, "MISSING")
    if any(shared.get(n, 1) <= NAMES_MAX for n in set(a.documents) & set(b.documents)):
        return Comparison(Field.DOCUMENT, Level.EQUAL, "SAME_DOCUMENT")
    return Comparison(Field.DOCUMENT, Level.MISSING, "OTHER_DOCUMENT")


def broken_number(a: Features, b: Features, shared: Shared) -> Comparison:
    """A number that fails its check against the other's numbers: the same slip twice, one slip apart, or far off."""
    if not a.broken and not b.broken:
        return Comparison(Field.BROKEN_NUMBER, Level.MISSING, "MISSING")
    pairs = [(x, y) for x, y in product((*a.broken, *a.strong), (*b.broken, *b.strong)) if _one_broken(x, y, a, b)]
    if not pairs:
        return Comparison(Field.BROKEN_NUMBER, Level.MISSING, "OTHER_SPACE")
    distance = min(_slips(x, y) for x, y in pairs)
    if distance == 0:
        return Comparison(Field.BROKEN_NUMBER, Level.EQUAL, "SAME_WRONG_NUMBER")
    if distance <= 2:
        return Comparison(Field.BROKEN_NUMBER, Level.NEAR, "TYPING_ERROR")
    return Comparison(Field.BROKEN_NUMBER, Level.DIFFERENT, "OTHER_NUMBER")


def _one_broken(x: str, y: str, a: Features, b: Features) -> bool:
    return (x in a.broken or y in b.broken) and x.partition(":")[0] == y.partition(":")[0]


def _slips(x: str, y: str) -> int:
    """Slips of the pen between two numbers, three for more; an old citizen number lacks the century and the check digit."""
    short, long = sorted((x, y), key=len)
    if len(long) == _CITIZEN_LENGTH and len(long) - len(short) in (2, 3, 4) and long.startswith("CITIZEN:"):
        long = long[:14] + long[16:-1]
    return OSA.distance(short, long, score_cutoff=2)


def masked_number(a: Features, b: Features, shared: Shared) -> Comparison:
    """Whether what a masked number shows fits the other's number. Without its end it fits a whole village, and says nothing."""
    pairs = [(m, n) for m in a.masked for n in (*b.strong, *b.masked)] + [(m, n) for m in b.masked for n in a.strong]
    pairs = [(m, n) for m, n in pairs if m.partition(":")[0] == n.partition(":")[0]]
    if not pairs:
        return Comparison(Field.MASKED_NUMBER, Level.MISSING, "MISSING")
    fitting = [pair for pair in pairs if _mask_fits(*pair)]
    if not fitting:
        return Comparison(Field.MASKED_NUMBER, Level.DIFFERENT, "MASK_CONTRADICTS")
    telling = any("*" not in m[-4:] + n[-4:] for m, n in fitting)
    return Comparison(
        Field.MASKED_NUMBER, *((Level.PARTIAL, "MASK_FITS") if telling else (Level.MISSING, "MASK_HIDES"))
    )


def _mask_fits(m: str, n: str) -> bool:
    return len(m) == len(n) and all(x == y or "*" in (x, y) for x, y in zip(m, n, strict=True))


def name(a: Features, b: Features, shared: Shared) -> Comparison:
    """Names, former ones too: one who was renamed is told by his old name under an equal number, never by it alone; and so is
    one of whom nothing but his new number was written down, by the name he had then."""
    found = _present_names(a, b)
    renamed = found.level <= Level.NEAR and (a.former_names or b.former_names)
    if renamed and (_was_called(a, b) or _was_called(b, a)):
        return Comparison(Field.NAME, Level.PARTIAL, "FORMER_NAME")
    return found


def _was_called(a: Features, b: Features) -> bool:
    """Whether one of a's former names is b's name, whole."""
    if a.party_type is PartyType.ORGANIZATION:
        companies = map(normalize_company_name, a.former_names)
        return any(relate_company_names(c, b.company) is CompanyNameRelation.EQUAL for c in companies)
    people = map(normalize_person_name, a.former_names)
    same = (NameRelation.EQUAL, NameRelation.TRADITIONAL)
    return any(relate_person_names(p, b.person) in same for p in people)


def _present_names(a: Features, b: Features) -> Comparison:
    """Names by script: the document's name first, the Latin one where a side has no other."""
    if a.party_type is PartyType.ORGANIZATION:
        company = relate_company_names(a.company, b.company)
        if company is CompanyNameRelation.EQUAL and a.company and not (a.company.region or a.company.form):
            return Comparison(Field.NAME, Level.VARIANT, "NOT_A_FULL_NAME")  # every town has a 便民超市
        return Comparison(Field.NAME, COMPANY_NAME_LEVELS[company], company.value)
    if a.person and b.person:
        person = relate_person_names(a.person, b.person)
        level = PERSON_NAME_LEVELS[person]
        if level <= Level.NEAR and _latin_alias(a, b):
            return Comparison(Field.NAME, Level.PARTIAL, "LATIN_ALIAS")
        return Comparison(Field.NAME, level, person.value)
    return _latin_fallback(a.person or a.latin, b.person or b.latin)


def _latin_alias(a: Features, b: Features) -> bool:
    """One side's Latin name spells the other's Chinese one: renamed, or a character mistyped."""
    pairs = ((a.latin, b.person), (b.latin, a.person))
    return any(latin and relate_person_names(latin, han) is NameRelation.PINYIN for latin, han in pairs)


def _latin_fallback(ours: PersonName | None, theirs: PersonName | None) -> Comparison:
    relation = relate_person_names(ours, theirs)
    level = min(PERSON_NAME_LEVELS[relation], Level.PARTIAL)
    return Comparison(Field.NAME, level, f"LATIN_{relation.value}")


def birth(a: Features, b: Features, shared: Shared) -> Comparison:
    """Dates, one slip of the pen being NEAR. A slip in the decade would make one of father and son."""
    if not a.birth or not b.birth:
        return Comparison(Field.BIRTH, Level.MISSING, "MISSING")
    if _number_contradicted(a, b, "birth"):
        return Comparison(Field.BIRTH, Level.DIFFERENT, "OTHER_THAN_NUMBER")
    if a.birth == b.birth:
        return Comparison(Field.BIRTH, Level.EQUAL, "SAME")
    near = a.birth[:3] == b.birth[:3] and OSA.distance(a.birth, b.birth, score_cutoff=1) <= 1
    return Comparison(Field.BIRTH, Level.NEAR if near else Level.DIFFERENT, "TYPING_ERROR" if near else "OTHER_DATE")


def _number_contradicted(a: Features, b: Features, name: str) -> bool:
    """Both have it from one number, which says nothing of the two, and one of them states something else."""
    return name in (*a.contradicted, *b.contradicted) and not set(a.strong).isdisjoint(b.strong)


def gender(a: Features, b: Features, shared: Shared) -> Comparison:
    """Weak both ways: counters tick the wrong box often."""
    if not a.gender or not b.gender:
        return Comparison(Field.GENDER, Level.MISSING, "MISSING")
    if _number_contradicted(a, b, "gender"):
        return Comparison(Field.GENDER, Level.DIFFERENT, "OTHER_THAN_NUMBER")
    same = a.gender == b.gender
    return Comparison(Field.GENDER, Level.EQUAL if same else Level.DIFFERENT, "SAME" if same else "OTHER")


def phone(a: Features, b: Features, shared: Shared) -> Comparison:
    """One number in common is agreement, a family's number a weak one, an agent's none; no common number says nothing."""
    return _any_common(Field.PHONE, a.phones, b.phones, shared)


def email(a: Features, b: Features, shared: Shared) -> Comparison:
    """Like phones."""
    return _any_common(Field.EMAIL, a.emails, b.emails, shared)


def _any_common(field: Field, a: tuple[str, ...], b: tuple[str, ...], shared: Shared) -> Comparison:
    if not a or not b:
        return Comparison(field, Level.MISSING, "MISSING")
    common = set(a) & set(b)
    if not common:
        return Comparison(field, Level.DIFFERENT, "NONE_IN_COMMON")
    names = min(shared.get(value, 1) for value in common)
    if names == 1:
        return Comparison(field, Level.EQUAL, "SAME")
    return Comparison(field, *((Level.PARTIAL, "FAMILY") if names <= FAMILY_MAX else (Level.NEAR, "SHARED")))


def address(a: Features, b: Features, shared: Shared) -> Comparison:
    """The best of all pairs of addresses; people move, so a difference says nothing much."""
    best = AddressRelation.MISSING
    for ours, theirs in product(a.addresses, b.addresses):
        relation = relate_addresses(ours, theirs)
        if best is AddressRelation.MISSING or ADDRESS_LEVELS[relation] > ADDRESS_LEVELS[best]:
            best = relation
    return Comparison(Field.ADDRESS, ADDRESS_LEVELS[best], best.value)


def employer(a: Features, b: Features, shared: Shared) -> Comparison:
    """The employer's name in comparison form."""
    if not a.employer or not b.employer:
        return Comparison(Field.EMPLOYER, Level.MISSING, "MISSING")
    same = a.employer == b.employer
    return Comparison(Field.EMPLOYER, Level.EQUAL if same else Level.DIFFERENT, "SAME" if same else "OTHER")


def legal_representative(a: Features, b: Features, shared: Shared) -> Comparison:
    """By number where both have one, else by name. Representatives change, so a difference is weak."""
    if a.legal_representative_number and a.legal_representative_number == b.legal_representative_number:
        return Comparison(Field.LEGAL_REPRESENTATIVE, Level.EQUAL, "SAME_NUMBER")
    relation = relate_person_names(a.legal_representative, b.legal_representative)
    return Comparison(Field.LEGAL_REPRESENTATIVE, PERSON_NAME_LEVELS[relation], relation.value)


def kind(a: Features, b: Features, shared: Shared) -> Comparison:
    """A branch is not its head office (民法典 art. 74)."""
    ours, theirs = a.company, b.company
    if ours and theirs and ours.branch != theirs.branch:
        return Comparison(Field.KIND, Level.DIFFERENT, "BRANCH")
    return Comparison(Field.KIND, Level.EQUAL, "SAME")


COMPARATORS: Mapping[Field, Comparator] = {
    Field.STATED: stated,
    Field.IDENTIFIER: identifier,
    Field.DOCUMENT: document,
    Field.BROKEN_NUMBER: broken_number,
    Field.MASKED_NUMBER: masked_number,
    Field.NAME: name,
    Field.BIRTH: birth,
    Field.GENDER: gender,
    Field.PHONE: phone,
    Field.ADDRESS: address,
    Field.EMAIL: email,
    Field.EMPLOYER: employer,
    Field.LEGAL_REPRESENTATIVE: legal_representative,
    Field.KIND: kind,
}
