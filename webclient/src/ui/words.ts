// Texts of the viewer, Chinese first.

const WORDS = {
  page: ["翻页", "Scroll"],
  window: ["调窗", "Window"],
  zoom: ["缩放", "Zoom"],
  pan: ["移动", "Pan"],
  play: ["播放", "Play"],
  pause: ["暂停", "Pause"],
  more: ["更多", "More"],
  close: ["关闭", "Close"],
  rotate: ["旋转", "Rotate"],
  flip: ["翻转", "Flip"],
  invert: ["反色", "Invert"],
  info: ["信息", "Info"],
  reset: ["复位", "Reset"],
  auto: ["自动", "Auto"],
  file: ["默认", "Default"],
  language: ["English", "中文"],
  flipped: ["已翻转", "Flipped"],
  preview: ["预览", "Preview"],
  settled: ["预览·清晰", "Preview, refined"],
  arrived: ["新到影像：", "New images:"],
  lossless: ["原始无损", "Lossless"],
  loading: ["加载中", "Loading"],
  offline: ["网络已断开，已加载的图像可继续看", "Offline: images already loaded stay usable"],
  stopped: ["分享人已停止分享", "The sharer has stopped sharing"],
  over: ["登录已过期，请重新登录", "Your session is over, please log in again"],
  slow: ["网络较慢，仍在加载", "The network is slow, still loading"],
  note: ["手机显示仅供参考，诊断以医院正式报告为准", "For reference; the hospital's report decides"],
  images: ["幅", "images"],
  failed: ["这幅图像无法显示", "This image cannot be shown"],
  series: ["序列", "Series"],
  slider: ["图像位置", "Image position"],
  left: ["左", "left"],
  right: ["右", "right"],
} as const;

export type Word = keyof typeof WORDS;
export type Language = "zh" | "en";

export function translator(language: Language): (word: Word) => string {
  const index = language === "en" ? 1 : 0;
  return (word) => WORDS[word][index];
}
