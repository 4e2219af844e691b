"""What papers and talks take of a film: figures, tables, traces for pgfplots, and films of a size and a pace."""

import csv
import io
import re
import zlib
from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest

from dali.dreams.beside import film_beside, watch
from dali.dreams.film import make_film
from dali.dreams.request import Request
from dali.errors import DaliError
from dali.export.bundle import KINDS, Bundle
from dali.export.latex import booktabs, escape
from dali.export.look import Look
from dali.export.paper import EM, moments, wrap
from dali.export.second import Second, figures_head, figures_row
from dali.runs.film_source import open_film_source
from dali.runs.folder import digest
from dali.video import tile

REQUEST = Request(episode=1, t=40, horizon=6, physics=(("g", 4.9),), code=((3, 1.5),))
SUMMARY = {"steering": {"g": {"skill_25": 0.87, "skill_25_interval": [0.8, 0.9]}, "l": {"skill_25": -0.2}}}


@pytest.fixture(scope="module")
def source(make_run):
    return open_film_source(make_run())


@pytest.fixture(scope="module")
def bundle(source):
    agent = source.agent
    return Bundle(make_film(source, REQUEST), agent.spec, agent.method, 64, name="first_run", summary=SUMMARY)


@pytest.fixture(scope="module")
def two(source, bundle, make_run):
    folder = make_run(method="crssm_d")
    other = open_film_source(folder)
    film = film_beside(watch(source, bundle.film, other.agent, other.steering), bundle.film)
    return replace(bundle, second=Second(film, other.agent.method, folder, digest(folder)))


def frames_of(mp4):
    return np.stack(list(imageio.imiter(mp4, extension=".mp4", plugin="FFMPEG")))


@pytest.mark.parametrize("height", [720, 1080])
def test_a_film_has_the_height_that_was_asked_for_with_all_panes_in_it(bundle, two, height):
    for shown in (bundle, two):
        look = Look(height, clock=True)
        frames = frames_of(replace(shown, look=look).make("mp4"))
        assert frames.shape[:3] == (7, height, height * 16 // 9)
        paper = (frames[0] > 245).all(-1)
        assert paper[[0, -1]].all()  # nothing is cut at the edges
        assert paper[:, [0, -1]].all()
        order, columns, size = look.arrange(len(shown.pictures(16)))
        assert sorted(order) == list(range(len(shown.pictures(16))))
        assert size >= 0.38 * height  # two rows of panes: six of them stand three in a row
        assert len(order) // columns == 2


def test_a_film_holds_its_end_repeats_and_runs_slowly(source, bundle):
    timestep = source.agent.spec.timestep
    look = Look(hold=4 * timestep / 0.5, speed=0.5, loops=2)
    mp4 = replace(bundle, look=look).make("mp4")
    frames = frames_of(mp4)
    assert len(frames) == 2 * (7 + 4)
    assert imageio.immeta(mp4, extension=".mp4", plugin="FFMPEG")["fps"] == pytest.approx(0.5 / timestep)
    close = np.abs(frames.astype(int) - np.concatenate([frames[:7], frames[6:7].repeat(4, 0)] * 2)).mean()
    assert close < 1.0
    assert np.abs(frames[6].astype(int) - frames[0]).mean() > close


def test_the_clock_stands_under_the_panes_and_changes(bundle):
    plain, clocked = (replace(bundle, look=Look(clock=clock)) for clock in (False, True))
    shown = np.stack(list(clocked._shown()))
    without = np.stack(list(plain._shown()))
    height = without.shape[1]
    np.testing.assert_array_equal(shown[:, :height], without)
    band = shown[:, height:]
    assert (band < 128).any((1, 2, 3)).all()
    assert len({frame.tobytes() for frame in band}) == len(band)
    assert clocked._notes()[2].startswith("t = 0.10 s   error: factual ")


def test_without_a_look_the_film_is_what_its_frames_are(bundle):
    np.testing.assert_array_equal(np.stack(list(bundle._shown())), bundle.frames)


@pytest.mark.parametrize(
    "bad", [{"height": 480}, {"hold": 11.0}, {"speed": 0.0}, {"speed": float("nan")}, {"loops": 0}]
)
def test_impossible_looks_are_refused(bad):
    with pytest.raises(DaliError, match="expected"):
        Look(**bad)


def test_the_second_agent_is_in_every_export(bundle, two):
    titles = [p.title for p in two.pictures(32)]
    assert titles[-2:] == ["Second dream, factual", "Second dream, counterfactual"]
    assert all(p.caption.startswith("pendulum-crssm_d; gravity") for p in two.pictures(32)[-2:])
    for kind in KINDS:
        assert two.make(kind) != bundle.make(kind)
    head = next(csv.reader(io.StringIO(two.make("csv").decode())))
    assert "second counterfactual: cos angle [1]" in head
    assert "error of the second dream, factual [σ]" in head
    with np.load(io.BytesIO(two.make("npz")), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["second_counterfactual_obs"], two.second.film.dream_counterfactual.obs)


@pytest.mark.parametrize("kind", ["svg", "pdf", "pgfplots", "tex", "mp4"])
def test_equal_films_give_equal_bytes(source, bundle, kind):
    again = replace(bundle, film=make_film(source, REQUEST))
    assert again.make(kind) == bundle.make(kind)


def test_pgfplots_reads_the_traces_without_any_quoting(bundle):
    text = bundle.make("pgfplots").decode()
    head, *rows = text.splitlines()
    assert re.fullmatch(r"[a-z0-9_]+(,[a-z0-9_]+)*", head)
    assert len(rows) == 7
    table = np.genfromtxt(io.StringIO(text), delimiter=",", names=True)
    np.testing.assert_allclose(table["real_counterfactual_cos_angle"], bundle.film.real_counterfactual.obs[:, 0])
    np.testing.assert_allclose(table["error_counterfactual"], bundle.film.error_counterfactual)
    assert np.isnan(table["action_factual_torque"][-1])


def test_the_table_has_a_column_an_agent_and_text_that_latex_reads(two):
    text = two.make("tex").decode()
    rows = [line.strip().removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[0] == ["agent", r"first\_run", r"pendulum-crssm\_d"]
    assert {len(row) for row in rows} == {3}
    assert ["skill over all, gravity", "0.87 [0.80, 0.90]", "--"] in rows
    assert ["skill over all, rod length", "$-$0.20", "--"] in rows
    assert f"{two.film.mean_error:.2f} $\\sigma$" in rows[1]
    assert text.isascii()
    assert text.count("{") == text.count("}")


def test_latex_special_letters_are_escaped():
    assert escape("50 % of a_b & {c} #1 $x^2~\\") == (
        r"50 \% of a\_b \& \{c\} \#1 \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}"
    )
    assert escape("DALI-D-χ -0.3 [-1, 2] m/s²") == r"DALI-D-$\chi$ $-$0.3 [$-$1, 2] m/s$^2$"
    assert r"\begin{tabular}{lr}" in booktabs(["a", "b"], [["c", "1"]], "Title", "tab:x")


def test_figures_tell_a_method_without_physics_apart(source, make_run):
    blind = open_film_source(make_run(method="dreamer_dr"))
    film = make_film(source, REQUEST)
    second = film_beside(watch(source, film, blind.agent, None), film)
    spec = source.agent.spec
    row = dict(
        zip(figures_head(spec), figures_row("b", second, spec, blind.agent.method, source.scale, None), strict=True)
    )
    assert row["steering skill"] == row["skill over all, gravity"] == "–"


def objects_of(pdf):
    """Checks the table of objects and returns their bodies."""
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", pdf)[1])
    head = re.match(rb"xref\n0 (\d+)\n", pdf[start:])
    places = re.findall(rb"(\d{10}) 00000 n \n", pdf[start:])
    assert len(places) == int(head[1]) - 1
    bodies = []
    for number, place in enumerate(places, 1):
        assert pdf[int(place) :].startswith(b"%d 0 obj\n" % number)
        bodies.append(pdf[int(place) : pdf.index(b"\nendobj\n", int(place))])
    return bodies


def test_the_pdf_is_as_wide_as_a_column_and_holds_exact_pictures(bundle):
    pdf = bundle.make("pdf")
    bodies = objects_of(pdf)
    width = float(re.search(rb"/MediaBox \[0 0 ([\d.]+) ", pdf)[1])
    assert width == pytest.approx(84 / 25.4 * 72, abs=0.01)
    pictures = [body for body in bodies if b"/Subtype /Image" in body]
    assert len(pictures) == 4 * 5
    data = pictures[0][pictures[0].index(b"stream\n") + 7 : -len(b"\nendstream")]
    frame = np.frombuffer(zlib.decompress(data), np.uint8).reshape(400, 400, 3)
    np.testing.assert_array_equal(frame, bundle.pictures(400)[0].frames[0])
    text = next(body for body in bodies if b" Tf (" in body)
    assert b"(Real, counterfactual)" in text
    assert b"/F2 7 Tf (s)" in text  # a Greek sigma is of the font Symbol
    assert {float(size) for size in re.findall(rb"/F\d ([\d.]+) Tf", text)} == {7.0, 7.5}


def test_the_svg_stays_text_and_shows_the_course(bundle):
    svg = replace(bundle, width="page").make("svg").decode()
    assert 'width="174.000mm"' in svg
    assert svg.count("<image ") == 4 * 7  # no more moments than there are frames
    assert ">t = 0.00 s</text>" in svg
    assert ">0.30 s</text>" in svg
    assert "gravity 4.90 m/s²" in svg


def test_moments_reach_from_the_start_to_the_end_and_lines_fit():
    assert moments(51, 5) == [0, 12, 25, 38, 50]
    with pytest.raises(DaliError, match="at least 2"):
        moments(51, 1)
    lines = wrap("gravity 12.00 m/s², rod length 0.97 m; a run of a long name", 100, 7)
    assert all(len(line) * EM * 7 <= 100 for line in lines)
    assert " ".join(lines) == "gravity 12.00 m/s², rod length 0.97 m; a run of a long name"


def test_an_mp4_of_frames_one_by_one_is_that_of_all(bundle):
    from dali.video import encode_mp4

    frames = tile([bundle.frames[:, :63, :63]])
    assert encode_mp4(iter(frames), 20.0) == encode_mp4(frames, 20.0)
