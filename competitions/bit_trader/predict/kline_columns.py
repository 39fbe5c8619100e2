"""Which column of a table of klines is which: by name, or by place where nothing names them."""

import re

from common.base.errors import InputError
from competitions.bit_trader.data.bar_files import FIELDS
from competitions.bit_trader.predict.kline_cells import is_number, is_time

KLINE_COLUMNS = ("open_time", *FIELDS[:5], "close_time", *FIELDS[5:], "ignore")
"""An exchange's kline file."""
SIX_COLUMNS = KLINE_COLUMNS[:6]
"""What ccxt gives."""
PLACES = {12: KLINE_COLUMNS, 11: KLINE_COLUMNS[:11], 6: SIX_COLUMNS}
"""Number of columns without names -> what they are."""
STREAM_LETTERS = dict(zip("tohlcvTqnVQ", KLINE_COLUMNS[:11], strict=True))
"""As Binance's streams name them; upper and lower case differ."""
ALIASES = {
    "open_time": "opentime starttime start opentimestamp candledatetimeutc timestamp timestampms "
    "unixtimestamp ts unix datetime dateutc date time index indexlevel0",
    "open": "open openprice openingprice o",
    "high": "high highprice h",
    "low": "low lowprice l",
    "close": "close closeprice tradeprice c",
    "volume": "volume basevolume volumebase baseassetvolume vol v candleacctradevolume",
    "close_time": "closetime endtime closetimestamp",
    "quote_av": "quoteav quotevolume quoteassetvolume volumequote turnover qav qv candleacctradeprice",
    "trades": "trades count numberoftrades numtrades numoftrades tradecount tradescount ntrades nooftrades",
    "tb_base_av": "tbbaseav takerbuyvolume takerbuybasevolume takerbuybaseassetvolume takerbuybase "
    "takerbasevolume takerbasevol takerbuybasevol tbbav",
    "tb_quote_av": "tbquoteav takerbuyquotevolume takerbuyquoteassetvolume takerbuyquote takerquotevolume "
    "takerquotevol takerbuyquotevol tbqav",
    "finished": "confirm confirmed isclosed isfinal",
    "symbol": "symbol pair ticker market",
}
"""Field -> names without case, spaces and signs."""
TIME_NAMES = ALIASES.pop("open_time").split()
"""In this order where a table has several."""
FIELD_OF = {name: field for field, names in ALIASES.items() for name in names.split()}
INDEX_NAMES = {"", "unnamed0"}
SHORTEST_TIME = 10
"""Digits of the seconds since 1970; row numbers have fewer."""
OFFICIAL_KEYS = {"sampleid", "coinindex"}


def has_names(cells: list[str]) -> bool:
    """Whether the first row of a table names its columns: most of its cells are words.

    `0, 1, 2, ...` are names too: those that pandas gives to columns without any.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    words = sum(not (is_number(cell) or is_time(cell)) for cell in filled)
    return is_numbered(filled) or words * 2 > len(filled)


def is_numbered(names: list[str]) -> bool:
    """Whether names are 0, 1, 2, ..."""
    return len(names) > 1 and names == [str(number) for number in range(len(names))]


def columns_by_name(where: str, names: list[str]) -> dict[str, int]:
    """Field -> column, of `open_time`, FIELDS, `close_time`, `finished`, `symbol`; those that are there.

    `clock` is a column with the time of the day, where `open_time` is only a date.

    Raises
    ------
    InputError : no time, open or close, or two columns for one field.
    """
    there = ",".join(names)[:200]
    plain = [re.sub(r"[\W_]", "", name.lower()) for name in names]
    if set(plain) >= OFFICIAL_KEYS:
        raise InputError(
            f"{where}: has the columns of the competition's own files; those go through 1_preprocess.py "
            "--data"
        )
    if set("tohlc") <= set(names):
        found = [
            (STREAM_LETTERS[name], column) for column, name in enumerate(names) if name in STREAM_LETTERS
        ]
    else:
        found = [(FIELD_OF[name], column) for column, name in enumerate(plain) if name in FIELD_OF]
        times = [name for name in TIME_NAMES if name in plain]
        if times:
            found += [("open_time", column) for column, name in enumerate(plain) if name == times[0]]
        if times[:2] == ["date", "time"]:
            found.append(("clock", plain.index("time")))
        if {"amount", "vol"} <= set(plain):
            raise InputError(
                f"{where}: one of the columns amount and vol counts coins, the other one money; rename the "
                "first to volume and the second to quote_av"
            )
    columns = dict(found)
    for field in columns:
        of = [names[column] for name, column in found if name == field]
        if len(of) > 1:
            raise InputError(
                f"{where}: {len(of)} columns can be {field}: {', '.join(of)}; rename all but one"
            )
    missing = [field for field in ("open_time", "open", "close") if field not in columns]
    if missing:
        raise InputError(
            f"{where}: column {missing[0]!r} is missing; expected open_time,{','.join(FIELDS)}; found {there}"
        )
    return columns


def columns_by_place(where: str, cells: list[str]) -> dict[str, int]:
    """Field -> column of a table without names, by the number of its columns.

    Parameters
    ----------
    cells : its first row.
    """
    if len(cells) not in PLACES:
        raise InputError(
            f"{where}: has {len(cells)} columns and no names; expected the {len(KLINE_COLUMNS)} of an "
            f"exchange's klines ({','.join(KLINE_COLUMNS)}), or a first line that names the columns"
        )
    return {field: column for column, field in enumerate(PLACES[len(cells)]) if field != "ignore"}


def columns_sentence(names: list[str], columns: dict[str, int]) -> str:
    """How the columns were found, for the user: those with another name, and those that are not read."""
    if not names:
        kind = "ccxt gives" if tuple(columns) == SIX_COLUMNS else "an exchange's kline file has"
        return f"no column names; by place, as {kind} them: {','.join(columns)}"
    renamed = [
        f"{field} from {names[column]!r}"
        for field, column in columns.items()
        if names[column].strip() != field
    ]
    unread = [name for column, name in enumerate(names) if column not in columns.values()]
    return (
        "columns by name"
        + (f" ({', '.join(renamed)})" if renamed else "")
        + (f", not read: {', '.join(unread)[:120]}" if unread else "")
    )


def without_index(names: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The table without a first column of row numbers that has no name, as pandas writes it.

    A first column of times without a name becomes `index`.
    """
    plain = re.sub(r"[\W_]", "", names[0].lower()) if names else "x"
    if plain not in INDEX_NAMES and not (is_numbered(names[1:]) and names[0] in ("", "index")):
        return names, rows
    cells = [row[0].strip() for row in rows]
    if all(cell.isascii() and cell.isdecimal() and len(cell) < SHORTEST_TIME for cell in cells):
        return names[1:], [row[1:] for row in rows]
    return ["index", *names[1:]], rows
