"""The dashboard starts on the shipped checkpoints and shows itself."""

from playwright.sync_api import expect


def test_first_screen(app, page):
    page.goto(app.url)
    expect(page).to_have_title("DALI Studio")
    expect(page.get_by_test_id("stAppViewContainer")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
