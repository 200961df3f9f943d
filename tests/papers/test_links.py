"""The papers lead where they say: each link and each name in one is there, and each paper can be found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.papers.papers import GUIDE, README, REFERENCE, ROOT, anchors, links, names_in, papers, text_of

PAPERS = pytest.mark.parametrize("paper", papers(), ids=lambda paper: str(paper.relative_to(ROOT)))
MOST_LINES = 260


@PAPERS
def test_every_link_leads_to_a_file_or_a_folder_of_this_project(paper: Path) -> None:
    lost = [link for link in links(paper) if not (link.target.is_relative_to(ROOT) and link.target.exists())]
    assert lost == []


@PAPERS
def test_every_anchor_is_a_heading_of_the_paper_that_it_leads_to(paper: Path) -> None:
    lost = [link for link in links(paper) if link.anchor and link.anchor not in anchors(link.target)]
    assert lost == []


@PAPERS
def test_what_a_link_names_is_in_the_file_that_it_leads_to(paper: Path) -> None:
    lost = [link for link in links(paper) if link.name and link.name not in names_in(link.target)]
    assert [(link.name, link.target) for link in lost] == []


def test_links_names_and_anchors_are_found_in_the_papers() -> None:
    assert "studies/quickstart.png" in {str(link.target.relative_to(ROOT)) for link in links(README)}
    assert {"Queue.claim", "claim_first", "heat_maps", "OF_SGD"} <= {link.name for link in links(GUIDE)}
    assert "is-it-for-me" in anchors(README)
    assert "the-life-of-a-trial" in anchors(GUIDE)


def test_every_paper_is_found_from_the_readme() -> None:
    found: set[Path] = set()
    ahead = [README]
    while ahead:
        paper = ahead.pop()
        found.add(paper)
        ahead += [
            link.target for link in links(paper) if link.target.suffix == ".md" and link.target not in found
        ]
    assert set(papers()) <= found


@PAPERS
def test_a_paper_is_short(paper: Path) -> None:
    if paper != REFERENCE:  # which is made from the code
        assert len(text_of(paper).splitlines()) <= (250 if paper == README else MOST_LINES)
