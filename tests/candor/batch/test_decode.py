import io

import pytest

from candor.batch.decode import likely_encoding
from candor.batch.rows import Reading, RowsError, read

ENCODINGS = {  # what is written in them
    "cp1252": "It’s a café – “good” for £5",
    "latin-1": "caf\xe9 na\xefve \x81",
    "cp1251": "Очень хороший фильм, рекомендую",
    "gb18030": "这部电影非常好看，我很喜欢，推荐给大家",
    "big5": "這部電影非常好看，我很喜歡，推薦給大家",
    "shift_jis": "この映画はとても面白かったです。おすすめします",
    "euc_jp": "この映画はとても面白かったです。おすすめします",
    "euc_kr": "이 영화는 정말 재미있었습니다 추천합니다",
    "mac_roman": "un café très léger, für Köln, père et mère",
    "cp850": "un café très léger, für Köln, Bäume, schöner",
    "cp932": "この映画はとても面白かったです。おすすめします、とても良い作品でした㈱",
    "cp949": "이 영화는 정말 재미있었습니다 똠방각하 추천합니다",
    "cp1250": "Bardzo dobry film, świetna gra aktorów. Zły film, strata czasu, żałuję",
    "iso8859_2": "Bardzo dobry film, świetna gra aktorów. Zły film, strata czasu, żałuję",
    "cp1254": "Çok güzel bir film, beğendim, şahane. Kötü film, zaman kaybı",
    "koi8_r": "Очень хороший фильм, мне понравилось. Плохой фильм, потеря времени",
    "cp866": "Очень хороший фильм, мне понравилось. Плохой фильм, потеря времени",
    "iso8859_5": "Очень хороший фильм, мне понравилось. Плохой фильм, потеря времени",
    "mac_cyrillic": "Очень хороший фильм, мне понравилось. Твоя история, семья",
    "cp1253": "Πολύ καλή ταινία, μου άρεσε. Άσχημη ταινία, χάσιμο χρόνου",
    "cp1255": "סרט טוב מאוד, אהבתי אותו. סרט רע, בזבוז של זמן",
    "cp1256": "فيلم جيد جدا، أحببته كثيرا. فيلم سيء، مضيعة للوقت",
    "cp874": "หนังดีมาก ชอบมาก แนะนำให้ดู เรื่องนี้แย่ เสียเวลา",
    "utf-16-le": "plain text",
    "utf-16-be": "plain text",
    "utf-32-le": "plain text",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_likely_encoding_is_that_of_the_bytes(encoding):
    assert likely_encoding(ENCODINGS[encoding].encode(encoding)) == encoding


@pytest.mark.parametrize(
    ("encodings", "texts"),
    [
        (
            "cp1251 koi8_r cp866 iso8859_5",
            ["очень хороший фильм\nплохой фильм\n", "плохо\nхорошо\n", "не советую никому"],
        ),
        ("cp1251 koi8_r", ["Отличный фильм, всем советую!", "Доставка быстрая, товар хороший"]),
        ("cp1253 iso8859_7", ["πολύ καλή ταινία", "κακό, δεν μου άρεσε καθόλου", "Εξαιρετική εξυπηρέτηση"]),
        ("cp1255", ["סרט טוב מאוד אהבתי", "גרוע מאוד לא מומלץ"]),
    ],
)
def test_likely_encoding_short_texts(encodings, texts):
    """A few words suffice, also without a capital: small letters of one encoding are capitals of another."""
    for encoding in encodings.split():
        assert [text.encode(encoding).decode(likely_encoding(text.encode(encoding))) for text in texts] == texts


def test_likely_encoding_without_evidence_is_empty():
    assert likely_encoding(b"plain") == ""
    assert likely_encoding(bytes(range(0x80, 0x100)) * 3) == ""


WESTERN = [
    "Très bon film – c’était génial, ça m’a plu",
    "café",
    "Ich fand’s schön, „wirklich“ groß – 5 €",
    "¿Qué tal? ¡Muy buena película, año 1999!",
    "Não gostei, atuação péssima, mas a música é boa",
    "Blåbærsyltetøy på brød, kjære",
    "ÉTÉ À NOËL",
    "that’s £100 – “fine”…",
    "Ça vaut 5\u00a0€",
]


@pytest.mark.parametrize("text", WESTERN)
def test_likely_encoding_western_texts(text):
    """Windows-1252, the commonest by far, is named for any language of Western Europe, with its marks."""
    assert likely_encoding(text.encode("cp1252")) == "cp1252"


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-16", "utf-32", "utf-8-sig", "mac-roman"])
def test_read_named_encoding_gives_the_text(encoding):
    """Every encoding that contains ASCII is read where it is named."""
    text = ENCODINGS.get(encoding, "café, so so")
    content = f'id,text\n1,"{text}"\n'.encode(encoding)
    assert [row.text for row in read(io.BytesIO(content), "a.csv", reading=Reading(encoding=encoding))] == [text]


def test_read_named_encoding_keeps_errors_in_place():
    """Bytes that are no text in the encoding cost their own row only."""
    content = "text\nfine\n".encode("gb18030") + b"\xff\xff\n" + "好\n".encode("gb18030")
    rows = list(read(io.BytesIO(content), "a.csv", reading=Reading(encoding="gb18030")))
    assert [(row.text, row.error) for row in rows] == [("fine", ""), ("", "invalid_encoding"), ("好", "")]
    cut = list(read(io.BytesIO(b"good\n\xba"), "a.txt", reading=Reading(encoding="gb18030")))
    assert [row.error for row in cut] == ["", "invalid_encoding"]


def test_read_byte_order_mark_counts_more():
    """A mark says which encoding it is, whatever is named."""
    for encoding in ("utf-8-sig", "utf-16"):
        content = "é好\n".encode(encoding)
        assert [row.text for row in read(io.BytesIO(content), "a.txt", reading=Reading(encoding="cp1252"))] == ["é好"]


@pytest.mark.parametrize("encoding", ["utf-7", "cp037", "punycode", "unicode_escape", "base64", "rot13", "none", "é"])
def test_encoding_without_ascii_is_refused(encoding):
    with pytest.raises(RowsError, match="no encoding of that name can be read"):
        Reading(encoding=encoding)
    assert Reading(encoding="Latin1").encoding == "iso8859-1"


def test_read_utf_16_without_mark_names_it():
    with pytest.raises(RowsError) as raised:
        list(read(io.BytesIO("text,label\n".encode("utf-16-be")), "a.csv"))
    assert (raised.value.code, raised.value.hint) == ("unknown_encoding", "pass --encoding utf-16-be")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_read_utf_8_named_utf_16_says_so(encoding):
    """A text in UTF-8 read as UTF-16 would be a column's name of Chinese letters, in a message."""
    content = "text\ngood film\n"
    with pytest.raises(RowsError, match=r"it is no UTF-(16|32), but seems to be UTF-8") as raised:
        list(read(io.BytesIO(content.encode()), "a.csv", reading=Reading(encoding=encoding)))
    assert raised.value.hint == "leave --encoding out"
    for sound in (content, "\u597d\u7684\n" * 40):
        rows = read(io.BytesIO(sound.encode(encoding)), "a.txt", reading=Reading(encoding=encoding))
        assert next(rows).error == ""
    assert list(read(io.BytesIO(b""), "a.txt", reading=Reading(encoding=encoding))) == []


def test_read_japanese_of_seven_bits_names_it():
    """It is valid UTF-8, so that it would be scored as if it were words."""
    content = "text\nこの映画は面白い\n".encode("iso2022_jp")
    with pytest.raises(RowsError) as raised:
        list(read(io.BytesIO(content), "a.csv"))
    assert raised.value.hint == "pass --encoding iso2022_jp"
    (row,) = read(io.BytesIO(content), "a.csv", reading=Reading(encoding="iso2022_jp"))
    assert row.text == "この映画は面白い"


def test_read_other_file_named_csv_is_refused():
    """A spreadsheet is none of our files, whatever its name."""
    with pytest.raises(RowsError, match="it is a ZIP archive or a spreadsheet, whatever its name says"):
        list(read(io.BytesIO(b"PK\x03\x04\x14\0\x06\0"), "a.csv"))
