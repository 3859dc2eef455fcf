"""Whether a page can be read: measured in the browser, as it is shown."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

TOO_PALE = """async selector => {
    await Promise.all(document.getAnimations().map(one => one.finished))
    const parts = text => text.match(/[\\d.]+/g).map(Number)
    const light = text => {
        const [r, g, b] = parts(text).map(v => v / 255).map(
            v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const ground = one => {
        for (let at = one; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor
            if ((parts(colour)[3] ?? 1) > 0.5) return colour
        }
        return 'rgb(255, 255, 255)'
    }
    const pale = one => {
        const [a, b] = [getComputedStyle(one).color, ground(one)].map(light).sort((x, y) => y - x)
        return (a + 0.05) / (b + 0.05)
    }
    return [...document.querySelectorAll(selector)]
        .filter(one => one.checkVisibility() && [...one.childNodes].some(
            node => node.nodeType === Node.TEXT_NODE && node.textContent.trim()))
        .filter(one => pale(one) < 4.5)
        .map(one => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)} ${pale(one)}`)
}"""


def fits(page: Page) -> Any:
    """Tell whether nothing sticks out to the right."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def too_pale(page: Page, selector: str) -> Any:
    """List the texts of less contrast than WCAG's AA asks for (4.5 to 1), with what it is."""
    return page.evaluate(TOO_PALE, selector)
