"""Whether a page is readable and accessible, measured in the browser."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page

LOW_CONTRAST = """async selector => {
    await Promise.all(document.getAnimations().map(one => one.finished))
    const parts = text => text.match(/[\\d.]+/g).map(Number)
    const luminance = text => {
        const [r, g, b] = parts(text).map(v => v / 255).map(
            v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const background = one => {
        for (let at = one; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor
            if ((parts(colour)[3] ?? 1) > 0.5) return colour
        }
        return 'rgb(255, 255, 255)'
    }
    const contrast = one => {
        const [a, b] = [getComputedStyle(one).color, background(one)].map(luminance).sort((x, y) => y - x)
        return (a + 0.05) / (b + 0.05)
    }
    return [...document.querySelectorAll(selector)]
        .filter(one => one.checkVisibility() && [...one.childNodes].some(
            node => node.nodeType === Node.TEXT_NODE && node.textContent.trim()))
        .filter(one => contrast(one) < 4.5)
        .map(one => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)} ${contrast(one)}`)
}"""

FAULTS = """async () => (await axe.run()).violations.map(
    rule => `${rule.id}: ${rule.nodes.map(node => node.html.slice(0, 100)).join(" | ")}`)"""


def fits_width(page: Page) -> Any:
    """Return whether the page is no wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def low_contrast_texts(page: Page, selector: str) -> Any:
    """Return the texts with less contrast than WCAG AA requires (4.5 to 1), each with its contrast."""
    return page.evaluate(LOW_CONTRAST, selector)


def accessibility_faults(page: Page, *, axe: str) -> Any:
    """Return the rules of axe that the page breaks, each with its elements; `axe` is its script."""
    page.evaluate(axe)
    return page.evaluate(FAULTS)
