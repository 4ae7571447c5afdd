"""Texts of the share page, Chinese first. Nothing here names a hospital or a person."""

from __future__ import annotations

from collections.abc import Mapping

WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "card": "影像检查结果（需验证码）",
        "title": "影像分享",
        "enter": "请输入6位验证码",
        "until": "有效至 {time}",
        "view": "查看",
        "left": "验证码不正确，还可尝试{n}次",
        "locked": "尝试过多，请{m}分钟后再试",
        "note": "手机显示仅供参考，诊断以医院正式报告为准",
        "loading": "正在加载",
        "preview": "预览",
        "close": "关闭",
        "images": "幅",
        "picture": "检查图像",
        "arriving": "该检查暂无可显示的图像，影像可能正在上传",
        "again": "重试",
        "help": "验证码由分享人单独告诉您",
        "elder": "长辈版",
        "usual": "标准版",
    },
    "en": {
        "card": "Imaging result (code needed)",
        "title": "Shared images",
        "enter": "Enter the 6-digit code",
        "until": "Valid until {time}",
        "view": "View",
        "left": "Wrong code, {n} attempts left",
        "locked": "Too many attempts, try again in {m} minutes",
        "note": "Phone display is for reference; the hospital's report decides",
        "loading": "Loading",
        "preview": "Preview",
        "close": "Close",
        "images": "images",
        "picture": "Image of the examination",
        "arriving": "No pictures to show yet; they may still be uploading",
        "again": "Try again",
        "help": "The sharer tells you the code separately",
        "elder": "Large text",
        "usual": "Usual text",
    },
}
