"""Addresses of stores: their parts, and what is refused."""

import pickle

import pytest

from whyport.runtime.errors import UsageError
from whyport.runtime.store.path import StorePath, as_place
from whyport.runtime.store.url import parse_url


@pytest.mark.parametrize(
    ("text", "bucket", "name"),
    [
        ("s3://bucket/a/b.parquet", "s3://bucket", "a/b.parquet"),
        ("gs://bucket", "gs://bucket", ""),
        ("az://container/year=2026/", "az://container", "year=2026"),
        ("memory://b/a b%20ü", "memory://b", "a b%20ü"),
        ("s3://bucket/year=202?/a?c", "s3://bucket", "year=202?/a?c"),
    ],
)
def test_an_address_has_a_bucket_and_a_name(text: str, bucket: str, name: str) -> None:
    assert parse_url(text) == (bucket, name)
    place = as_place(text)
    assert isinstance(place, StorePath)
    assert (place.root_url, place.key) == (bucket, name)
    assert str(place) == place.as_posix() == text.removesuffix("/")
    again = pickle.loads(pickle.dumps(place))
    assert (again, type(again), hash(again)) == (place, StorePath, hash(place))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/file", "expected a path, or an address that begins with one of 's3://', 'gs://', 'az://'"),
        ("http://host/file", "got the URL 'http://host/file'"),
        ("s3://", "expected s3://BUCKET/NAME, got 's3://'"),
        ("s3:///name", "expected s3://BUCKET/NAME"),
        ("s3://bucket//name", "expected names between single slashes"),
        ("s3://bucket/a/../b", "expected names between single slashes"),
        ("s3://bucket/./b", "expected names between single slashes"),
        ("s3://key:secret@bucket/name", "expected an address without credentials or options, got one with some"),
        ("az://container/name?sig=secret", "expected an address without credentials or options, got one with some"),
    ],
)
def test_another_text_is_refused_and_no_secret_is_repeated(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        as_place(text)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_path_in_a_store_has_the_parts_of_a_path() -> None:
    place = as_place("s3://bucket/scored/part-1.parquet")
    assert place.name == "part-1.parquet"
    assert str(place.parent) == "s3://bucket/scored"
    assert str(place.with_name("x")) == "s3://bucket/scored/x"
    assert str(place.parent / "_rejected" / "x") == "s3://bucket/scored/_rejected/x"
    assert place.relative_to(place.parent).as_posix() == "part-1.parquet"
    assert place.is_relative_to(place.parent)
    assert not place.is_relative_to(as_place("/scored"))
    assert place.absolute() == place.resolve() == place
