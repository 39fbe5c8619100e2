"""Words that name a colour, a variant, a size or an accessory, in Indonesian and English titles."""


def _canonical(groups: dict[str, str]) -> dict[str, str]:
    """Word -> canonical name, from canonical name -> its spellings, separated by commas."""
    return {word.strip(): name for name, words in groups.items() for word in words.split(",")}


COLOURS = _canonical(
    {
        "black": "hitam, black, blk, itam",
        "white": "putih, white, wht",
        "red": "merah, red",
        "blue": "biru, blue",
        "navy": "navy, dongker",
        "green": "hijau, green, ijo",
        "yellow": "kuning, yellow",
        "pink": "pink",
        "purple": "ungu, purple, lilac, violet",
        "brown": "coklat, cokelat, brown, cokl",
        "grey": "abu, grey, gray",
        "silver": "silver, perak",
        "gold": "gold, emas, golden",
        "orange": "orange, oranye, jingga",
        "cream": "krem, cream, beige, ivory",
        "maroon": "maroon, marun, burgundy",
        "tosca": "tosca, toska, turquoise, turkis",
        "khaki": "khaki",
        "clear": "transparan, transparant, transparent, bening",
        "bisque": "bisque",
    }
)
VARIANTS = _canonical(
    {
        "vanilla": "vanilla, vanila, vanili",
        "chocolate": "coklat, cokelat, chocolate, choco, choc",
        "strawberry": "strawberry, stroberi, strawberi",
        "lemon": "lemon",
        "orange": "jeruk",
        "lime": "jeruk nipis, lime",
        "grape": "anggur, grape",
        "mango": "mangga, mango",
        "melon": "melon, honeydew",
        "banana": "pisang, banana",
        "durian": "durian",
        "mocha": "mocca, moka, mocha, mochaccino",
        "matcha": "matcha, green tea, greentea",
        "beef": "sapi, beef",
        "chicken": "ayam, chicken",
        "shrimp": "udang, shrimp, prawn",
        "tuna": "tuna",
        "salmon": "salmon",
        "cheese": "keju, cheese",
        "balado": "balado",
        "bbq": "bbq, barbeque, barbecue",
        "rendang": "rendang",
        "soto": "soto",
        "curry": "kari, curry",
        "corn": "jagung bakar",
        "seaweed": "rumput laut, seaweed",
        "onion": "bawang, onion",
        "rose": "mawar",
        "jasmine": "melati, jasmine",
        "lavender": "lavender",
        "honey": "madu, honey",
        "mint": "mint, peppermint",
        "aloe": "aloe, aloe vera",
        "cherry": "cherry, ceri",
        "blueberry": "blueberry, bluberi",
        "coconut": "kelapa, coconut",
        "taro": "taro",
        "hazelnut": "hazelnut",
        "caramel": "caramel, karamel",
        "tiramisu": "tiramisu",
        "lychee": "leci, lychee, lyche",
        "avocado": "alpukat, avocado",
        "cucumber": "timun, cucumber",
    }
)
ACCESSORIES = _canonical(
    {
        "case": "case, casing, casingan, softcase, hardcase, kesing, backcase, silikon case",
        "glass": "tempered, tempered glass, anti gores, antigores, screen protector, screenguard",
        "charger": "charger, casan, adaptor, adapter",
        "cable": "kabel, cable",
        "battery": "baterai, batre, battery, baterei",
        "strap": "strap, tali jam",
        "remote": "remote",
        "mount": "mount, bracket, holder, tripod",
        "ink": "tinta, ink, toner, cartridge",
        "bag": "tas, bag, carrying case, backpack",
        "headset": "headset, earphone, earphones, headphones, headphone, handsfree, earbuds",
        "filter": "filter",
        "lens": "lens, lensa",
        "memory": "memory card, microsd, micro sd, flashdisk",
        "cover": "cover",
    }
)
OF_A_DEVICE = frozenset({"case", "glass", "charger", "cable", "strap", "cover", "bag", "battery"})
"""Accessories that are sold for a device whose name they carry."""
DEVICES = frozenset({"printer", "kamera", "camera", "telephone", "handphone", "smartphone", "laptop",
    "notebook", "proyektor", "projector", "televisi", "television", "tv"})  # fmt: skip
"""Words for devices: a title with one and without an accessory is about the device."""
SIZE_WORDS = ("size", "ukuran", "uk", "sz", "nomor", "nomer")
SHOE_WORDS = frozenset({ "sepatu", "sandal", "shoes", "shoe", "sneaker", "sneakers", "boot",
    "boots", "flatshoes", "slip", "heels", "wedges", "sendal", "footwear", })  # fmt: skip
NUMBERED_STOP = frozenset({ "beli", "gratis", "buy", "get", "free", "isi", "promo", "diskon",
    "sale", "harga", "only", "rp", "ready", "cod", "per", "dan", "and", "atau", "or", "untuk",
    "for", "of", "with", "the", "in", "to", "minimal", "min", "max", "dapat", "bonus", "usia",
    "umur", "tahun", "bulan", "th", "thn", "new", "garansi", "warranty", "x", "dengan", "all", "up",
    })  # fmt: skip
"""Words whose following number names no model: `beli 2 gratis 1`."""
