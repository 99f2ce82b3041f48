import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecif.domain.addresses import AddressRelation, normalize_address, relate_addresses
from ecif.domain.company_names import CompanyNameRelation, normalize_company_name, relate_company_names
from ecif.domain.han import PRIVATE_USE, readings, spellings, turned
from ecif.domain.names import NameRelation, normalize_person_name, relate_person_names

R, C, A = NameRelation, CompanyNameRelation, AddressRelation


@pytest.mark.parametrize(
    "a, b, relation",
    [
        ("姜 朋", "姜朋", R.EQUAL),
        ("董玉（个人）", "董玉", R.EQUAL),
        ("王\ue863", "王䶮", R.EQUAL),
        ("阿卜来提．如则托合提", "阿卜来提·如则托合提", R.EQUAL),
        ("阿卜来提如则托合提", "阿卜来提·如则托合提", R.DOT),
        ("陳國強", "陈国强", R.TRADITIONAL),
        ("*旭", "梁旭", R.WILDCARD),
        ("李WEI", "李薇", R.WILDCARD),
        ("王□", "王莹", R.WILDCARD),
        ("XIAOLI SHAN", "单晓丽", R.PINYIN),
        ("SHAN/XIAOLI MS", "单晓丽", R.PINYIN),
        ("LYU MEI", "吕梅", R.PINYIN),
        ("LU MEI", "吕梅", R.PINYIN),
        ("DAN XIAOLI", "单晓丽", R.DIFFERENT),
        ("朱芳", "朱芳雯", R.TRUNCATED),
        ("HELEN PATEL", "PATEL HELEN LAURA", R.SUBSET),
        ("张卫", "张伟", R.HOMOPHONE),
        ("张文博", "张文渤", R.HOMOPHONE),
        ("李起", "李超", R.ONE_CHARACTER),
        ("余红英", "余英红", R.ONE_CHARACTER),
        ("张三", "李四", R.DIFFERENT),
        ("", "李四", R.MISSING),
    ],
)
def test_how_two_names_relate(a: str, b: str, relation: NameRelation) -> None:
    ours, theirs = normalize_person_name(a), normalize_person_name(b)
    assert relate_person_names(ours, theirs) is relation
    assert relate_person_names(theirs, ours) is relation


def test_all_eighty_private_code_points_are_known() -> None:
    assert len(PRIVATE_USE) == 80
    assert PRIVATE_USE[0xE863] == "䶮"


@pytest.mark.parametrize("name, surname", [("单雄信", "SHAN"), ("仇英", "QIU"), ("尉迟恭", "YUCHI"), ("查良镛", "ZHA")])
def test_surnames_have_their_own_readings(name: str, surname: str) -> None:
    assert {s for s, _ in readings(name)} == {surname}


@pytest.mark.parametrize(
    "written, name",
    [
        ("zhang sanfeng", "张三丰"),
        ("ZHANGSANFENG", "张三丰"),
        ("sanfengzhang", "张三丰"),
        ("San-Feng Zhang", "张三丰"),
        ("Zhāng Sānfēng", "张三丰"),
        ("zhang, san feng", "张三丰"),
        ("Lü Xi'an", "吕西安"),
        ("LYU XIAN", "吕西安"),
        ("Lu Xian", "吕西安"),
        ("Shan Xiaoli", "单晓丽"),
        ("OUYANG Nuona", "欧阳娜娜"),
    ],
)
def test_a_name_is_spelt_in_any_usual_writing(written: str, name: str) -> None:
    assert set(turned(written)) & set(spellings(name))


def test_a_name_has_few_spellings_the_usual_one_first() -> None:
    assert spellings("吕单") == ("LUDAN", "LUCHAN", "LUSHAN")
    assert all(len(spellings("乐" * n)) <= 4 for n in range(1, 9))
    assert not set(turned("Zhang Sanfen")) & set(spellings("张三丰"))


def test_two_holders_in_one_field_are_noticed() -> None:
    name = normalize_person_name("张三、李四")
    assert name is not None and name.several


@pytest.mark.parametrize(
    "a, b, relation",
    [
        ("江诚新能源(北京)有限公司", "江诚新能源（北京）有限责任公司", C.FORM_VARIANT),
        ("上海(华兴)贸易有限公司", "华兴(上海)贸易有限公司", C.FORM_VARIANT),
        ("腾讯计算机系统有限公司", "深圳市腾讯计算机系统有限公司", C.REGION_VARIANT),
        ("腾讯", "深圳市腾讯计算机系统有限公司", C.ABBREVIATION),
        ("曲靖市泰南酒店管理有限公司师宗县分店", "曲靖市泰南酒店管理有限公司", C.BRANCH),
        ("瑞力仓储股份有限公司", "瑞力仓储有限公司", C.RENAMED_FORM),
        ("苏州瑞力仓储有限公司", "杭州瑞力仓储有限公司", C.REGION_CONFLICT),
        ("普洱市程星货运代理有限公司", "普洱市喜国货运代理有限公司", C.TRADE_DIFFERENT),
        ("华兴贸易有限公司(盖章)", "华兴贸易有限公司", C.EQUAL),
    ],
)
def test_how_two_company_names_relate(a: str, b: str, relation: CompanyNameRelation) -> None:
    ours, theirs = normalize_company_name(a), normalize_company_name(b)
    assert relate_company_names(ours, theirs) is relation
    assert relate_company_names(theirs, ours) is relation


def test_a_company_name_has_four_parts() -> None:
    name = normalize_company_name("深圳市腾讯计算机系统有限公司")
    assert name is not None
    assert (name.region, name.trade, name.industry, name.form) == ("深圳", "腾讯", "计算机系统", "LIMITED")


@pytest.mark.parametrize(
    "text, relation",
    [
        ("聊城茌平区大学路90号丰泽新村26幢1801室", A.SAME),
        ("丰泽新村(大学路90号)26-3-1801", A.SAME),
        ("茌平区丰泽新村26#1801", A.SAME),
        ("聊城市茌平区大学路９０号丰泽新村26栋1802室", A.NEIGHBOUR),
        ("聊城市茌平区大学路90号丰泽新村27栋1801室", A.NEIGHBOUR),
        ("济南市历下区大学路90号丰泽新村26栋3单元1801室", A.DIFFERENT),
        ("聊城市茌平区丰泽新村26栋", A.SAME_BUILDING),
        ("茌平区丰泽新村", A.SAME_ESTATE),
        ("聊城市茌平区兴业路350号丰泽新村26栋3单元1801室", A.SAME_DISTRICT),
        ("同上", A.MISSING),
    ],
)
def test_how_two_addresses_relate(text: str, relation: AddressRelation) -> None:
    home = normalize_address("山东省聊城市茌平区大学路90号丰泽新村26栋3单元1801室")
    other = normalize_address(text)
    assert relate_addresses(home, other) is relation
    assert relate_addresses(other, home) is relation


NAMES = st.text(alphabet="张李王陈国强國伟卫文博渤·*?□（个人） ABLV", max_size=8)


@given(NAMES, NAMES)
def test_relations_are_symmetric_and_total(a: str, b: str) -> None:
    assert relate_person_names(normalize_person_name(a), normalize_person_name(b)) is relate_person_names(
        normalize_person_name(b), normalize_person_name(a)
    )
    assert relate_company_names(normalize_company_name(a), normalize_company_name(b)) is relate_company_names(
        normalize_company_name(b), normalize_company_name(a)
    )
    assert relate_addresses(normalize_address(a), normalize_address(b)) is relate_addresses(
        normalize_address(b), normalize_address(a)
    )


@given(st.text(max_size=30))
def test_any_text_can_be_a_name(text: str) -> None:
    for normalize in (normalize_person_name, normalize_company_name, normalize_address):
        normalize(text)
