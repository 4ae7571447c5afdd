// Texts of planes and volumes, Chinese first.

export interface VolumeWords {
  readonly names: Readonly<Record<string, string>>;
  readonly back: string;
  readonly incomplete: string;
  readonly loading: string;
  readonly failed: string;
  readonly presets: Readonly<Record<string, string>>;
}

const ZH: VolumeWords = {
  names: { axial: "轴位", coronal: "冠状", sagittal: "矢状", volume: "三维", all: "四格" },
  back: "返回",
  incomplete: "不完整",
  loading: "正在生成…",
  failed: "无法生成",
  presets: {
    bone: "骨",
    vessels: "血管",
    muscle: "肌肉",
    lung: "肺",
    mr: "磁共振",
    pet_hot: "PET 热区",
    mip: "MIP",
  },
};

const EN: VolumeWords = {
  names: { axial: "Axial", coronal: "Coronal", sagittal: "Sagittal", volume: "3D", all: "All" },
  back: "Back",
  incomplete: "Incomplete",
  loading: "Rendering…",
  failed: "Cannot be rendered",
  presets: {
    bone: "Bone",
    vessels: "Vessels",
    muscle: "Muscle",
    lung: "Lung",
    mr: "MR",
    pet_hot: "PET hot",
    mip: "MIP",
  },
};

export function volumeWords(language: "zh" | "en"): VolumeWords {
  return language === "zh" ? ZH : EN;
}

/** The server's transfer functions that serve a modality, the usual one first. */
export function presetsOf(modality: string): readonly string[] {
  if (modality === "CT") return ["bone", "vessels", "muscle", "lung", "mip"];
  return modality === "MR" ? ["mr", "mip"] : ["pet_hot", "mip"];
}
