// Texts of planes and volumes, Chinese first.

interface Texts {
  readonly back: string;
  readonly incomplete: string;
  readonly loading: string;
  readonly failed: string;
  readonly preview: string;
  readonly settled: string;
  readonly isCut: string;
  readonly retry: string;
  readonly more: string;
  readonly plane: string;
  readonly mean: string;
  readonly previous: string;
  readonly next: string;
  readonly larger: string;
  readonly smaller: string;
  readonly fit: string;
  readonly middle: string;
  readonly straighten: string;
  readonly file: string;
  readonly undo: string;
  readonly redo: string;
  readonly reset: string;
  readonly uncut: string;
  readonly wholeMip: string;
  readonly tilt: string;
  readonly spacing: string;
  readonly keys: string;
  readonly invert: string;
  readonly elder: string;
  readonly language: string;
  readonly hide: string;
  readonly none: string;
  readonly opacity: string;
  readonly cancel: string;
  readonly slices: string;
  /** The panel of the transfer function. */
  readonly curve: string;
  readonly curveHint: string;
  readonly own: string;
  readonly value: string;
  readonly opacityShort: string;
  readonly colour: string;
  readonly deletePoint: string;
  readonly reading: string;
  readonly toPreset: string;
  readonly keep: string;
  readonly keepAs: string;
  readonly forget: string;
  readonly notKept: string;
  readonly clearer: string;
  readonly denser: string;
  readonly lower: string;
  readonly higher: string;
  readonly narrower: string;
  readonly wider: string;
  readonly done: string;
  readonly phase: string;
  readonly within: string;
  readonly wholeMipFusion: string;
  readonly radius: string;
  readonly restore: string;
  readonly tooManyCuts: string;
  readonly nothingThere: string;
  readonly noSuv: string;
  readonly lowerEnd: string;
  readonly higherEnd: string;
}

type Named = Readonly<Record<string, string>>;

export interface VolumeWords extends Texts {
  readonly names: Named;
  readonly tools: Named;
  readonly presets: Named;
  readonly projections: Named;
  readonly sides: Named;
  /** Buttons that cut at a side, by its letter. */
  readonly trims: Named;
  readonly turns: Named;
  readonly maps: Named;
  /** Why SUV cannot be told. */
  readonly suvReasons: Named;
  /** Kinds of blade, and the sides of what they drew. */
  readonly scalpel: Named;
  /** Why there is no volume (`volume.wrong_stack`). */
  readonly reasons: Named;
  readonly card: readonly (readonly [string, string])[];
  missing(count: number): string;
  slicesOf(count: number): string;
}

const ZH: VolumeWords = {
  names: { axial: "轴位", coronal: "冠状", sagittal: "矢状", volume: "三维", all: "四格" },
  tools: {
    page: "翻层",
    cross: "定位",
    window: "调窗",
    pan: "移动",
    slab: "层厚",
    fusion: "融合",
    rotate: "旋转",
    move: "移动",
    look: "预设",
    curve: "传递函数",
    sides: "方向",
    cut: "裁剪",
    scalpel: "手术刀",
  },
  back: "返回",
  incomplete: "不完整",
  loading: "正在生成…",
  failed: "无法生成",
  preview: "预览",
  settled: "预览·清晰",
  isCut: "已裁剪",
  retry: "重试",
  more: "更多",
  plane: "薄层",
  mean: "平均",
  previous: "上一层",
  next: "下一层",
  larger: "放大",
  smaller: "缩小",
  fit: "适合",
  middle: "回中心",
  straighten: "摆正",
  file: "默认",
  undo: "撤销",
  redo: "重做",
  reset: "复位",
  uncut: "取消裁剪",
  wholeMip: "MIP 显示全部数据，不能裁剪，请换一个预设",
  tilt: "机架倾斜已校正",
  spacing: "层距不均，已重采样",
  keys: "快捷键",
  invert: "反色",
  elder: "长辈版",
  language: "English",
  hide: "隐藏",
  none: "不融合",
  opacity: "不透明度",
  cancel: "取消",
  slices: "切面",
  curve: "传递函数",
  curveHint: "拖动圆点；双击空白处加点；在空白处左右拖动平移、上下拖动改变宽度",
  own: "自定义",
  value: "数值",
  opacityShort: "不透明%",
  colour: "颜色",
  deletePoint: "删点",
  reading: "正在读取数值分布…",
  toPreset: "还原预设",
  keep: "保存",
  keepAs: "名称",
  forget: "删除此项",
  notKept: "浏览器不允许保存",
  clearer: "更透明",
  denser: "更实",
  lower: "左移",
  higher: "右移",
  narrower: "变窄",
  wider: "变宽",
  done: "完成",
  phase: "期相",
  within: "三维中显示",
  wholeMipFusion: "MIP 中不能显示融合，请换一个预设",
  radius: "球半径",
  restore: "全部恢复",
  tooManyCuts: "切割次数过多，请先撤销或全部恢复",
  nothingThere: "此处没有可见的组织",
  noSuv: "无法计算 SUV：",
  lowerEnd: "上限 −",
  higherEnd: "上限 +",
  suvReasons: {
    units: "数值单位不是 Bq/ml",
    weight: "缺少体重",
    dose: "缺少注射剂量",
    half_life: "缺少半衰期",
    time: "缺少注射或采集时间，或时间不一致",
    corrections: "未经衰减或衰变校正",
    mixed: "各层的剂量或体重不一致",
    header: "影像在此功能之前接收",
  },
  scalpel: {
    curve: "圈选",
    brush: "球刷",
    plane: "直线",
    inside: "切除圈内",
    outside: "切除圈外",
    side: "切除这侧",
  },
  presets: {
    bone: "骨",
    vessels: "血管",
    muscle: "肌肉",
    skin: "体表",
    lung: "肺",
    airway: "气道",
    mr: "磁共振",
    pet_hot: "PET 热区",
    mip: "MIP",
  },
  projections: { maximum: "MIP", minimum: "MinIP", mean: "平均" },
  sides: { L: "左L", R: "右R", A: "前A", P: "后P", H: "头H", F: "足F" },
  trims: { L: "切左", R: "切右", A: "切前", P: "切后", H: "切头", F: "切足" },
  turns: { left: "左转", right: "右转", up: "上翻", down: "下翻" },
  maps: { hot: "热金属", pet: "彩虹", cool: "冷色", gray: "灰阶" },
  reasons: {
    geometry: "图像没有空间位置信息",
    colour: "彩色图像不能组成三维数据",
    size: "图像大小不一致",
    spacing: "像素间距不一致",
    orientation: "图像方向不一致",
    alignment: "图像没有对齐",
    "one place": "图像都在同一位置，没有深度",
    "no slice can be decoded": "没有一幅图像能解码",
  },
  missing: (count) => `缺少 ${count} 层`,
  slicesOf: (count) => `${count} 层`,
  card: [
    ["↑ ↓", "上一层 / 下一层；三维：翻转"],
    ["← →", "上一画面 / 下一画面；三维：转动"],
    ["Home End", "第一层 / 最后一层"],
    ["D", "翻层"],
    ["X", "定位线"],
    ["W", "调窗"],
    ["P", "移动"],
    ["T", "层厚：薄层 5 10 20 mm"],
    ["1-9 / 0", "CT 窗位 / 默认窗"],
    ["I", "反色"],
    ["+ - =", "放大 缩小 适合"],
    ["C", "裁剪"],
    ["S", "手术刀：圈选 球刷 直线"],
    ["Del", "切除圈内 / 右侧"],
    ["B", "三维中显示三个切面"],
    ["E", "传递函数"],
    [", .", "上一期相 / 下一期相"],
    ["双击", "三维：定位线移到此处"],
    ["F", "四格 / 单格"],
    ["Ctrl+Z / Y", "撤销 / 重做"],
    ["Space", "复位"],
    ["Esc", "返回"],
  ],
};

const EN: VolumeWords = {
  names: { axial: "Axial", coronal: "Coronal", sagittal: "Sagittal", volume: "3D", all: "Quad" },
  tools: {
    page: "Scroll",
    cross: "Cross",
    window: "Window",
    pan: "Pan",
    slab: "Slab",
    fusion: "Fusion",
    rotate: "Rotate",
    move: "Pan",
    look: "Presets",
    curve: "Curve",
    sides: "Views",
    cut: "Crop",
    scalpel: "Scalpel",
  },
  back: "Back",
  incomplete: "Incomplete",
  loading: "Rendering…",
  failed: "Cannot be rendered",
  preview: "Preview",
  settled: "Preview, refined",
  isCut: "cropped",
  retry: "Try again",
  more: "More",
  plane: "Thin",
  mean: "Mean",
  previous: "Previous",
  next: "Next",
  larger: "Larger",
  smaller: "Smaller",
  fit: "Fit",
  middle: "To centre",
  straighten: "Straighten",
  file: "Default",
  undo: "Undo",
  redo: "Redo",
  reset: "Reset",
  uncut: "No crop",
  wholeMip: "MIP shows all of the data and cannot be cropped: choose another preset",
  tilt: "gantry tilt corrected",
  spacing: "uneven spacing, resampled",
  keys: "Keys",
  invert: "Invert",
  elder: "Large text",
  language: "中文",
  hide: "Hide",
  none: "None",
  opacity: "Opacity",
  cancel: "Cancel",
  slices: "Slices",
  curve: "Transfer function",
  curveHint: "Drag points; double-click adds one; drag the background: sideways shifts, up and down widens",
  own: "Custom",
  value: "Value",
  opacityShort: "Opac. %",
  colour: "Colour",
  deletePoint: "Delete",
  reading: "Reading the spread of values…",
  toPreset: "As preset",
  keep: "Save",
  keepAs: "Name",
  forget: "Delete this",
  notKept: "This browser keeps nothing",
  clearer: "Clearer",
  denser: "Denser",
  lower: "Left",
  higher: "Right",
  narrower: "Narrower",
  wider: "Wider",
  done: "Done",
  phase: "Phase",
  within: "Within 3D",
  wholeMipFusion: "MIP shows no fusion: choose another preset",
  radius: "Radius",
  restore: "Restore all",
  tooManyCuts: "Too many cuts: undo some, or restore all",
  nothingThere: "Nothing is seen there",
  noSuv: "No SUV: ",
  lowerEnd: "Upper −",
  higherEnd: "Upper +",
  suvReasons: {
    units: "the values are not Bq/ml",
    weight: "no body weight",
    dose: "no injected dose",
    half_life: "no half-life",
    time: "times of injection or scan are missing or disagree",
    corrections: "not corrected for attenuation or decay",
    mixed: "the images differ in dose or weight",
    header: "received before this was kept",
  },
  scalpel: {
    curve: "Curve",
    brush: "Brush",
    plane: "Line",
    inside: "Cut inside",
    outside: "Cut outside",
    side: "Cut this side",
  },
  presets: {
    bone: "Bone",
    vessels: "Vessels",
    muscle: "Muscle",
    skin: "Skin",
    lung: "Lung",
    airway: "Airway",
    mr: "MR",
    pet_hot: "PET hot",
    mip: "MIP",
  },
  projections: { maximum: "MIP", minimum: "MinIP", mean: "mean" },
  sides: { L: "L", R: "R", A: "A", P: "P", H: "H", F: "F" },
  trims: { L: "Cut L", R: "Cut R", A: "Cut A", P: "Cut P", H: "Cut H", F: "Cut F" },
  turns: { left: "Left", right: "Right", up: "Up", down: "Down" },
  maps: { hot: "Hot metal", pet: "Rainbow", cool: "Cool", gray: "Gray" },
  reasons: {
    geometry: "the images tell no place",
    colour: "colour images make no volume",
    size: "the images differ in size",
    spacing: "the images differ in pixel spacing",
    orientation: "the images differ in direction",
    alignment: "the images are not aligned",
    "one place": "all images are at one place",
    "no slice can be decoded": "no image can be decoded",
  },
  missing: (count) => `${count} slice${count === 1 ? "" : "s"} missing`,
  slicesOf: (count) => `${count} slice${count === 1 ? "" : "s"}`,
  card: [
    ["↑ ↓", "Previous / next layer; 3D: tilt"],
    ["← →", "Previous / next picture; 3D: turn"],
    ["Home End", "First / last layer"],
    ["D", "Scroll"],
    ["X", "Crosshair"],
    ["W", "Window"],
    ["P", "Pan"],
    ["T", "Slab: thin, 5, 10, 20 mm"],
    ["1-9 / 0", "CT windows / the file's"],
    ["I", "Invert"],
    ["+ - =", "Larger, smaller, fit"],
    ["C", "Crop"],
    ["S", "Scalpel: curve, brush, line"],
    ["Del", "Cut inside / to the right"],
    ["B", "The three planes within 3D"],
    ["E", "Transfer function"],
    [", .", "Previous / next phase"],
    ["Double click", "3D: crosshair to this place"],
    ["F", "Four / one"],
    ["Ctrl+Z / Y", "Undo / redo"],
    ["Space", "Reset"],
    ["Esc", "Back"],
  ],
};

export function volumeWords(language: "zh" | "en"): VolumeWords {
  return language === "zh" ? ZH : EN;
}

/** The server's transfer functions that serve a modality, the usual one first. */
export function presetsOf(modality: string): readonly string[] {
  if (modality === "CT") return ["bone", "vessels", "muscle", "skin", "lung", "airway", "mip"];
  return modality === "MR" ? ["mr", "mip"] : ["mip", "pet_hot"];
}
