// Texts of the measuring tools, Chinese first.

const WORDS = {
  mean: ["均值", "Mean"],
  deviation: ["标准差", "SD"],
  least: ["最小", "Min"],
  most: ["最大", "Max"],
  area: ["面积", "Area"],
  loading: ["数值加载中", "Values are loading"],
  noValues: ["没有可用的原始数值", "No exact values to be had"],
  colour: ["彩色图像，无单一数值", "Colour: no single value"],
  empty: ["区域内没有像素值", "No values in the region"],
  padding: ["填充区，无数值", "Padding: no value"],
  pixels: ["像素，无毫米标定", "Pixels: no calibration in mm"],
  detector: ["探测器平面，未校正放大", "At the detector, not corrected for magnification"],
  projection: ["投影，未注明是否校正放大", "Projection: magnification not stated"],
  geometry: ["投影，按几何距离校正", "Projection, corrected by geometry"],
  fiducial: ["投影，按标尺校正", "Projection, corrected by a fiducial"],
  calibrated: ["投影，已校正（方式未注明）", "Projection, corrected (method not stated)"],
  scanned: ["按胶片扫描尺寸", "By the size of the scanned film"],
  projected: ["投影角度", "Projected angle"],
  change: ["改", "Change"],
  remove: ["删除", "Delete"],
  removed: ["已删除测量", "Measurement deleted"],
  tooMany: ["测量已达 64 个，请先删除一些", "64 measurements are the most: delete some first"],
  notYet: ["图像信息还在加载，请稍候再测", "The image is still being described: measure in a moment"],
  noteText: ["标注文字", "Text of the note"],
  done: ["确定", "Done"],
  drop: ["取消", "Cancel"],
  firstPoint: ["点第二点，或拖动", "Tap the second point, or drag"],
} as const;

export type MeasureWord = keyof typeof WORDS;
export type Speak = (word: MeasureWord) => string;

export function measureWords(language: "zh" | "en"): Speak {
  const index = language === "en" ? 1 : 0;
  return (word) => WORDS[word][index];
}
