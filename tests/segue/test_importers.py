"""Importers: made-up files of every source in, messages out."""

import gzip
import json
from pathlib import Path

import pytest

from segue.errors import InputError
from segue.importers import SOURCES, Reading, source_of
from segue.importers.spotify_pack import top_tags

DATA = Path(__file__).parents[3] / "shared" / "data"

PACK_EVENTS = """user,end_ts,track_id,artist_id,ms_played,dur_est_ms,dur_conf,played_ratio,skip30,long_form
s2,1600000060,t2,a1,30000,200000,3,0.1,0,0
s1,1600000000,t1,a1,29999,180000,9,0.2,1,0
s1,1600000000,t2,a1,180000,200000,9,1.0,0,0
s1,1600000000,t3,a2,999999,9999999,9,1.0,0,1
"""
PACK_TRACKS = "track_id,artist_id,artist,track\nt1,a1,Ann,One\nt2,a1,Ann,Two\nt9,,,Nine\n"
PACK_ARTISTS = "artist_id,artist,hetrec_artist,tags\na1,Ann,7,folk:3|rock:9|indie:3|pop:1|old:0\n"


def pack(folder: Path, events: str = PACK_EVENTS) -> Path:
    for name, text in (("events", events), ("tracks", PACK_TRACKS), ("artists", PACK_ARTISTS)):
        (folder / f"{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_pack_is_in_the_order_of_time_and_of_the_file_inside_a_minute(tmp_path: Path) -> None:
    events = list(source_of(pack(tmp_path)).events(tmp_path))

    assert [(event.user_id, event.track_id) for event in events] == [("s1", "t1"), ("s1", "t2"), ("s2", "t2")]


def test_pack_under_thirty_seconds_is_a_skip(tmp_path: Path) -> None:
    events = list(source_of(pack(tmp_path)).events(tmp_path))

    assert [event.kind for event in events] == ["skip", "play", "play"]
    assert [event.played_ms for event in events] == [29_999, 180_000, 30_000]
    assert [event.at_ms for event in events] == [1_600_000_000_000, 1_600_000_000_000, 1_600_000_060_000]


def test_pack_leaves_long_form_out_and_counts_it(tmp_path: Path) -> None:
    reading = Reading()
    list(source_of(pack(tmp_path)).events(tmp_path, reading))

    assert dict(reading.left_out) == {"long-form": 1}


def test_pack_event_ids_are_the_same_in_every_run(tmp_path: Path) -> None:
    source = source_of(pack(tmp_path))

    assert [event.event_id for event in source.events(tmp_path)] == ["s1-1", "s1-2", "s2-0"]
    assert list(source.events(tmp_path)) == list(source.events(tmp_path))


def test_pack_tracks_have_the_artists_heaviest_tags_and_the_logs_durations(tmp_path: Path) -> None:
    one, _, nine = source_of(pack(tmp_path)).tracks(tmp_path)

    assert (one.title, one.artist, one.artist_id, one.duration_ms) == ("One", "Ann", "a1", 180_000)
    assert one.tags == ["rock", "folk", "indie", "pop"]
    assert (nine.title, nine.artist, nine.artist_id, nine.tags, nine.duration_ms) == ("Nine", None, None, [], None)


def test_tags_with_a_colon_keep_it() -> None:
    assert top_tags("c:1|a:b:2") == ["a:b", "c"]


def test_broken_row_stops_with_its_file_line_and_column(tmp_path: Path) -> None:
    pack(tmp_path, PACK_EVENTS.replace("29999", "soon"))

    with pytest.raises(InputError, match=r"events\.csv\.gz, line 3: ms_played='soon', expected a number"):
        list(SOURCES["spotify-pack"].events(tmp_path))


def test_broken_row_is_left_out_and_counted_where_that_is_wanted(tmp_path: Path) -> None:
    pack(tmp_path, PACK_EVENTS.replace("29999", "soon"))
    reading = Reading(on_error="skip")

    assert len(list(SOURCES["spotify-pack"].events(tmp_path, reading))) == 2
    assert reading.left_out["broken"] == 1


def test_row_that_no_topic_would_take_is_refused_here(tmp_path: Path) -> None:
    pack(tmp_path, PACK_EVENTS.replace("s1,1600000000,t1", "s1,1600000000,"))

    with pytest.raises(InputError, match=r"line 3: .*track_id"):
        list(SOURCES["spotify-pack"].events(tmp_path))


def test_missing_column_names_what_is_there(tmp_path: Path) -> None:
    pack(tmp_path, "user,when\ns1,1\n")

    with pytest.raises(InputError, match="has columns user, when; expected also end_ts"):
        list(SOURCES["spotify-pack"].events(tmp_path))


def test_file_that_is_cut_off_is_said_in_one_line(tmp_path: Path) -> None:
    pack(tmp_path)
    whole = (tmp_path / "events.csv.gz").read_bytes()
    (tmp_path / "events.csv.gz").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InputError, match=r"events\.csv\.gz: cannot be read"):
        list(SOURCES["spotify-pack"].events(tmp_path))


SHORT = [
    {"endTime": "2021-03-01 12:01", "artistName": "Ann", "trackName": "Two", "msPlayed": 200_000},
    {"endTime": "2021-03-01 12:00", "artistName": "Ann", "trackName": "One", "msPlayed": 1_000},
    {"endTime": "2021-03-01 12:00", "artistName": "Ann", "trackName": "One", "msPlayed": 1_000},
]


def extended(**fields: object) -> dict[str, object]:
    return {
        "ts": "2021-03-01T12:00:07Z",
        "username": "someone",
        "ms_played": 90_000,
        "conn_country": "SE",
        "master_metadata_track_name": "One",
        "master_metadata_album_artist_name": "Ann",
        "master_metadata_album_album_name": "First",
        "spotify_track_uri": "spotify:track:abc",
        **fields,
    }


def export(folder: Path, **files: object) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in files.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return folder


def test_short_export_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    path = export(tmp_path, StreamingHistory0=SHORT)
    source = source_of(path)
    events, (two, one) = list(source.events(path)), source.tracks(path)

    assert source.name == "spotify-export"
    assert [one.track_id, one.track_id, two.track_id] == [event.track_id for event in events]
    assert [event.kind for event in events] == ["skip", "skip", "play"]
    assert (one.title, one.artist, one.duration_ms) == ("One", "Ann", None)
    assert {"me"} == {event.user_id for event in events}
    assert events[0].at_ms == 1_614_600_000_000


def test_one_song_left_twice_in_a_minute_is_two_plays(tmp_path: Path) -> None:
    events = list(SOURCES["spotify-export"].events(export(tmp_path, StreamingHistory0=SHORT)))

    assert len({event.event_id for event in events}) == 3


def test_play_that_stands_in_two_files_of_an_export_counts_once(tmp_path: Path) -> None:
    path = export(tmp_path, StreamingHistory0=SHORT, StreamingHistory1=SHORT[:1])
    reading = Reading()

    assert len(list(SOURCES["spotify-export"].events(path, reading))) == 3
    assert dict(reading.left_out) == {"repeated": 1}


def test_extended_export_knows_track_album_and_country(tmp_path: Path) -> None:
    path = export(tmp_path, Streaming_History_Audio_2021_0=[extended()], StreamingHistory0=SHORT)
    (event,) = SOURCES["spotify-export"].events(path, Reading(user_id="ann"))
    (track,) = SOURCES["spotify-export"].tracks(path)

    assert (event.user_id, event.track_id, event.at_ms, event.kind) == ("ann", "abc", 1_614_600_007_000, "play")
    assert event.context is not None
    assert event.context.country == "SE"
    assert track.album_id is not None


def test_podcasts_are_left_out_and_counted(tmp_path: Path) -> None:
    episode = extended(master_metadata_track_name=None, spotify_track_uri=None, episode_name="Talk")
    path = export(tmp_path, endsong_0=[episode, extended(conn_country="ZZ")])
    reading = Reading()
    events = list(SOURCES["spotify-export"].events(path, reading))

    assert len(events) == 1
    assert events[0].context is None
    assert dict(reading.left_out) == {"podcast": 1}


def test_export_is_found_one_folder_below_as_spotify_packs_it(tmp_path: Path) -> None:
    export(tmp_path / "Spotify Account Data", StreamingHistory_music_0=SHORT)

    assert source_of(tmp_path).name == "spotify-export"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"a": 1}, "expected a list of plays"),
        ([extended(ms_played="long")], "line 1: ms_played='long'"),
        ([extended(ts="yesterday")], "line 1: time 'yesterday'"),
    ],
)
def test_broken_export_says_where(tmp_path: Path, rows: object, said: str) -> None:
    with pytest.raises(InputError, match=said):
        list(SOURCES["spotify-export"].events(export(tmp_path, endsong_0=rows)))


def test_movielens_four_stars_are_a_play_and_less_a_skip(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,10,4.0,20\n2,11,3.5,10\n")
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n10,"Heat (1995)",Action|Crime\n11,Nameless,(no genres listed)\n'
    )
    source = source_of(tmp_path)
    heat, nameless = source.tracks(tmp_path)

    assert [(event.track_id, event.kind, event.at_ms) for event in source.events(tmp_path)] == [
        ("11", "skip", 10_000),
        ("10", "play", 20_000),
    ]
    assert (heat.tags, heat.released_ms) == (["action", "crime"], 788_918_400_000)
    assert (nameless.tags, nameless.released_ms) == ([], None)


def test_lastfm_artists_have_names_and_their_most_given_tags(tmp_path: Path) -> None:
    (tmp_path / "user_artists.dat").write_text("userID\tartistID\tweight\n2\t51\t10\n3\t51\t4\n")
    (tmp_path / "artists.dat").write_text("id\tname\turl\tpictureURL\n51\tDuo\tu\tp\n")
    (tmp_path / "tags.dat").write_text("tagID\ttagValue\n1\tpop\n2\twave\n")
    (tmp_path / "user_taggedartists.dat").write_text(
        "userID\tartistID\ttagID\tday\tmonth\tyear\n2\t51\t2\t1\t4\t2009\n3\t51\t2\t1\t4\t2009\n2\t51\t1\t1\t4\t2009\n"
    )
    (artist,) = source_of(tmp_path).tracks(tmp_path)

    assert (artist.title, artist.tags) == ("Duo", ["wave", "pop"])
    assert [event.user_id for event in source_of(tmp_path).events(tmp_path)] == ["2", "3"]


def test_jamendo_is_a_catalogue_without_events(tmp_path: Path) -> None:
    (tmp_path / "tracks.tsv").write_text(
        "track_id\tartist_id\talbum_id\tduration_s\ttags\nt1\ta1\tl1\t124.6\tgenre---punk|mood---sad\n"
    )
    (track,) = source_of(tmp_path).tracks(tmp_path)

    assert (track.tags, track.duration_ms) == (["punk", "sad"], 124_600)
    assert list(source_of(tmp_path).events(tmp_path)) == []


EVENT = '{"event_id":"%s","at_ms":%d,"user_id":"ann","track_id":"t1","kind":"play"}\n'


def test_json_lines_hold_events_and_tracks_packed_or_not(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl.gz"
    lines = EVENT % ("e2", 2) + '{"track_id":"t1","title":"One"}\n\n' + EVENT % ("e1", 1)
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + lines.encode()))
    source = source_of(path)

    assert source.name == "jsonl"
    assert [event.event_id for event in source.events(path)] == ["e1", "e2"]
    assert [track.title for track in source.tracks(path)] == ["One"]


@pytest.mark.parametrize("broken", [b"{", b'{"event_id":"x"}', b"\xff\xfe", b"[]", b'"', b"{}" * 600_000])
def test_broken_json_line_is_said_with_its_number_or_counted(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes((EVENT % ("e1", 1)).encode() + broken + b"\n" + (EVENT % ("e2", 2)).encode())
    reading = Reading(on_error="skip")

    with pytest.raises(InputError, match=r"log\.jsonl, line 2: "):
        list(SOURCES["jsonl"].events(path))
    assert [event.event_id for event in SOURCES["jsonl"].events(path, reading)] == ["e1", "e2"]
    assert reading.left_out["broken"] == 1


def test_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        source_of(tmp_path / "nowhere")


def test_unknown_source_is_said_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--from winamp: unknown, expected one of spotify-export, "):
        source_of(tmp_path, "winamp")


def test_wrong_folder_is_said_with_what_it_holds_and_what_was_expected(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()

    with pytest.raises(
        InputError, match=r"no source recognises a folder with holiday\.jpg\. .*movielens: a folder with"
    ):
        source_of(tmp_path)
    with pytest.raises(InputError, match=r"has no ratings\.csv\.gz or ratings\.csv; it is a folder with holiday\.jpg"):
        list(SOURCES["movielens"].events(tmp_path))


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="the real logs are not beside the project")
def test_real_pack_gives_every_play_that_is_not_long_form() -> None:
    path, reading = DATA / "spotify_histories", Reading()
    events, tracks = list(source_of(path).events(path, reading)), list(source_of(path).tracks(path))

    assert len(events) + reading.left_out["long-form"] == 73_909
    assert len(tracks) == 13_220
    assert events == sorted(events, key=lambda event: event.at_ms)
    assert {event.track_id for event in events} <= {track.track_id for track in tracks}
