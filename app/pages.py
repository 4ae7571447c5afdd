"""Small pages that Python writes itself: errors. No scripts; styled by the light tokens of the interface."""

from __future__ import annotations

from html import escape

_STYLE = (
    "body{margin:0;background:#F4F6F9;color:#1A2430;font:16px/26px 'PingFang SC','HarmonyOS Sans SC',"
    "'Microsoft YaHei','Noto Sans CJK SC',sans-serif}"
    "main{max-width:420px;margin:18vh auto 0;padding:24px;background:#fff;border-radius:8px}"
    "h1{font-size:20px;line-height:28px;margin:0 0 8px}p{margin:0;color:#4A5866}"
    "a{color:#0A62C9;display:inline-block;min-height:48px;line-height:48px}small{color:#5F6C79}"
)


def error_page(message: dict[str, str], number: str, language: str, status: int) -> str:
    """A bilingual page: what happened, the number to quote, what next."""
    other = "en" if language == "zh" else "zh"
    again = {"zh": "重试", "en": "Try again"}[language]
    reference = {"zh": f"编号 {number}", "en": f"Reference {number}"}[language] if status >= 500 else ""
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1,viewport-fit=cover">'
        f'<meta name="robots" content="noindex"><title>{status}</title><style>{_STYLE}</style>'
        f"<main><h1>{escape(message.get(language, ''))}</h1><p>{escape(message.get(other, ''))}</p>"
        f'<p><a href="">{again}</a></p><small>{escape(reference)}</small></main></html>'
    )
