"""Attributes of titles: amounts in any notation, model numbers, colours, sizes, packs, accessories."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from competitions.shopee_matching.models.attributes.amounts import quantities
from competitions.shopee_matching.models.attributes.perturbed import (
    other_product,
    random_code,
    rewritten,
    sibling_code,
    with_code,
)
from competitions.shopee_matching.models.attributes.titles import (
    COMPARED,
    AttributeTable,
    amounts_contradict,
    canonical_title,
    code_rarity,
    read_attributes,
)

ONE, OTHER = np.array([0], np.int32), np.array([1], np.int32)


def contradict(one: str, other: str) -> bool:
    table = AttributeTable([one, other])
    found = bool(table.contradict(ONE, OTHER)[0])
    assert found == bool(table.contradict(OTHER, ONE)[0]), "both directions agree"
    return found


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Sirup markisa 460 ml", {"volume": {460}}),
        ("Sirup markisa 0,46L", {"volume": {460}}),
        ("Air galon 19.000 ml", {"volume": {19_000}}),
        ("Air minum 1.500ml dus", {"volume": {1_500}}),
        ("Pupuk 2,500 gram", {"weight": {2_500}}),
        ("Pupuk 2,500 kg", {"weight": {2_500}}),
        ("Tepung 0,250 kg", {"weight": {250}}),
        ("Baterai 5.200 mAh", {"charge": {5_200}}),
        ("Baterai 1,000,000 mAh", {"charge": {1_000_000}}),
        ("Cabe 1/4 kg", {"weight": {250}}),
        ("Jeruk 1 1/2 kg segar", {"weight": {1_500}}),
        ("Jeruk ½ kg segar", {"weight": {500}}),
        ("Madu 4x250ml", {"count": {4}, "volume": {250}}),
        ("Madu 250 ml x 4", {"count": {4}, "volume": {250}}),
        ("Kecap 10 sachet x 20 ml", {"count": {10}, "volume": {20}}),
        ("Kopi isi 3x50g", {"count": {3}, "weight": {50}}),
        ("Bir 50cl", {"volume": {500}}),
        ("Toner-150-ml", {"volume": {150}}),
        ("Suplemen 30tablet", {"count": {30}}),
        ("Sendok 2 lusin", {"count": {24}}),
        ("Kopi isi 200 gr", {"weight": {200}}),
        ("Popok isi 34", {"count": {34}}),
        ("Tisu 1 pak isi 12", {"count": {12}}),
        ("Kertas 500 lembar", {"sheets": {500}}),
        ("Kaos kaki pack of 3", {"count": {3}}),
        ("Cermin 40 x 60 cm", {"length": {400, 600}}),
        ("Lem 24 mm x 5 m", {"length": {24, 5_000}}),
        ("Karpet 120x160", {"sides": {120, 160}}),
        ("Selotip 3M 12mm", {"length": {12}}),
        ("Modem 4G LTE 32GB", {"storage": {32}}),
        ("Adaptor 12V 2in1", {"voltage": {12}}),
        ("Monitor 24 inch", {"length": {609.6}}),
        ('Monitor 24" IPS', {"length": {609.6}}),
        ("AC 1/2 PK", {"power": {367.75}}),
        ("Jam F-91W model M10", {}),
        ("Combed 30s warna 2 in 1", {}),
        ("isi", {}),
        ("", {}),
    ],
)
def test_amounts(title: str, found: dict[str, set[float]]) -> None:
    read = {dimension: set(values) for dimension, values in quantities(title).items()}
    assert read.keys() == found.keys()
    for dimension, values in found.items():
        assert sorted(read[dimension]) == pytest.approx(sorted(values))


def test_ounces_are_fluid_or_weight() -> None:
    assert not contradict("Gelas kopi 12 oz", "Gelas kopi 355 ml")
    assert not contradict("Biji kopi 12 oz", "Biji kopi 340 gr")
    assert contradict("Gelas kopi 12 oz", "Gelas kopi 473 ml")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sabun cair 450 ml", "Sabun cair 0,9 l"),
        ("Beras merah 1 kg", "Beras merah 2kg"),
        ("Realme C11 2/32GB", "Realme C11 3/64GB"),
        ("Lampu bohlam 5 watt", "Lampu bohlam 9W"),
        ("Adaptor CCTV 12V", "Adaptor CCTV 24v"),
        ("Power bank 5.000 mAh", "Power bank 10000mAh"),
        ("Kemeja flanel Size M", "Kemeja flanel size XL"),
        ("Kemeja flanel M", "Kemeja flanel L"),
        ("Sandal gunung 39", "Sandal gunung 41"),
        ("Celana chino ukuran 30", "Celana chino uk 32"),
        ("Tas selempang hitam", "Tas selempang coklat"),
        ("Botol minum black", "Botol minum putih"),
        ("Keripik singkong balado 100g", "Keripik singkong keju 100g"),
        ("Redmi Note 9 garansi", "Redmi Note 10 garansi"),
        ("Printer Epson L3110", "Printer Epson L3150"),
        ("Kamera DSC-W830", "Kamera DSC W810"),
        ("Masker kain isi 10", "Masker kain isi 50 pcs"),
        ("Susu kental 370 g", "Susu kental 370 g pack of 3"),
        ("Susu kental 370 g", "Susu kental 6 x 370 g"),
        ("Vivo Y12 64GB", "Softcase Vivo Y12 64GB"),
        ("Oven TOB165WH", "Oven TOB165BK"),
        ("Panasonic KX1200 phone", "Battery for Panasonic KX1200"),
        ("Case untuk Oppo A5 polos", "Case untuk Oppo A9 polos"),
        ("Tempered glass Y12", "Softcase Y12"),
        ("Printer Epson L3110", "Epson 003 tinta L3110 hitam"),
        ("Realme 8 4/64GB", "Realme 8 6/128GB"),
        ("Mi goreng 85g karton isi 40", "Mi goreng 85g"),
        ("Bohlam 9 watt", "Bohlam 9 watt paket 3 pcs"),
    ],
)
def test_two_products(one: str, other: str) -> None:
    assert contradict(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sabun cair 450 ml", "Sabun cair 450ML refill"),
        ("Air 1.500 ml", "Air 1,5 liter"),
        ("Teh botol 24 x 200 ml", "Teh botol 200ml isi 24"),
        ("Jam F-91W", "Jam F91W"),
        ("Telepon KX-TG6700B", "Telepon TG6700B cordless"),
        ("Speaker AM53BK", "Speaker AM-53"),
        ("iPhone 12 128GB", "Apple iphone12 128 GB"),
        ("Tinta PG 47", "Tinta PG-47 black"),
        ("Jam AP015", "Jam AP15"),
        ("Kaos polos hitam putih", "Kaos polos putih"),
        ("Kaos polos hitam", "Kaos polos"),
        ("Beli 2 gratis 1 kopi", "Beli 3 gratis 1 kopi"),
        ("Kopi original 100%", "Kopi original 90%"),
        ("Mouse M170", "Mouse M170 garansi 2 tahun"),
        ("Kabel data 1m", "Kabel data 100 cm"),
        ("Kemeja flanel S-XL", "Kemeja flanel size M"),
        ("Kemeja flanel S - XXL", "Kemeja flanel L"),
        ("Kemeja flanel M L XL", "Kemeja flanel XL"),
        ("Sepatu lari Size 37-44", "Sepatu lari size 38-42"),
        ("Sepatu lari 39-43", "Sepatu lari 40"),
        ("Celana size 30 32 34", "Celana ukuran 34"),
        ("Realme C11 2/32GB", "Realme C11 32 GB"),
        ("Realme C11 3GB/32GB", "Realme C11 3/32GB"),
        ("Losion 100ml/200ml/400ml", "Losion 200 ml"),
        ("Losion 100/200 ml", "Losion 200 ml"),
        ("Bendera 2-4 meter", "Bendera 3 meter"),
        ("Celana harem BB 45-60 kg", "Celana harem 50 kg"),
        ("H&M kemeja", "kemeja L'Avenue M"),
        ("HT406 Replacement Filter for LR8895", "Filter LR8895 - HT406"),
    ],
)
def test_one_product_perhaps(one: str, other: str) -> None:
    assert not contradict(one, other)


def test_agreement_and_silence() -> None:
    titles = ["Lampu LED 9W putih", "Lampu 9 watt", "Lampu LED 12W", "Lampu"]
    table = AttributeTable(titles)
    query, match = np.array([0, 0, 0], np.int32), np.array([1, 2, 3], np.int32)
    assert table.compared("power", query, match).tolist() == [1, -1, 0]
    assert table.compared("colour", query, match).tolist() == [0, 0, 0]
    assert amounts_contradict(titles, query, match).tolist() == [False, True, False]
    assert set(table.table(query[:0], match[:0])) == set(COMPARED)


def test_one_spelling() -> None:
    assert canonical_title("Minyak 60-ml F-91W hitam") == canonical_title("minyak 60 ml f91w black")
    assert canonical_title("Air 1.500 ml").split() == canonical_title("Air 1,5 liter").split()


def test_rare_model_numbers() -> None:
    titles = ["Radio XR8812", "Radio XR-8812 baru", "Radio USB20", "Kabel USB20", "Hub USB20", "Radio"]
    rarity = code_rarity(titles)
    assert rarity["xr8812"] > rarity["usb20"] > 0
    found = AttributeTable(titles).rarest_shared_code(
        np.array([0, 2, 0], np.int32), np.array([1, 3, 2], np.int32), rarity
    )
    assert found[0] == pytest.approx(rarity["xr8812"])
    assert found[1] == pytest.approx(rarity["usb20"])
    assert found[2] == 0


def test_hard_negatives_contradict_and_rewritten_titles_do_not() -> None:
    random = np.random.default_rng(0)
    titles = [
        "Susu UHT coklat 250 ml isi 6", "Redmi Note 9 4/64GB", "Kaos polos hitam Size L",
        "Mouse Logitech M170", "Lampu LED 9 watt putih",
    ]  # fmt: skip
    for title in titles * 8:
        changed = other_product(title, random)
        assert changed is None or contradict(title, changed)
        assert not contradict(title, rewritten(title, random))
    assert any(other_product(title, random) for title in titles)
    assert other_product("Tas wanita murah", random) is None


def test_drawn_model_numbers() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        code = random_code(random)
        assert sibling_code(code, random) != code
        assert with_code("Panci susu kecil gagang kayu", code, random).startswith("Panci")


@given(st.text(), st.text())
def test_no_title_breaks_the_attributes(one: str, other: str) -> None:
    assert not contradict(one, one)
    contradict(one, other)
    canonical_title(one)
    rewritten(one, np.random.default_rng(0))
    other_product(one, np.random.default_rng(0))
    assert read_attributes(one) == read_attributes(one)


@given(st.text(alphabet="0123456789 .,/x-½ mlkgisiAB\"'", max_size=30))
def test_no_notation_breaks_the_amounts(title: str) -> None:
    assert all(value >= 0 for values in quantities(title).values() for value in values)
    assert not contradict(title, title)
