// Texts of exact values, Chinese first.

export interface ValueWords {
  readonly lossy: string;
  readonly uncompressed: string;
  readonly useUncompressed: string;
  readonly useCompressed: string;
}

export function valueWords(language: "zh" | "en"): ValueWords {
  return language === "zh"
    ? {
        lossy: "原始数据（采集时有损压缩）",
        uncompressed: "未压缩",
        useUncompressed: "原始数据不压缩传输",
        useCompressed: "原始数据无损压缩传输",
      }
    : {
        lossy: "original values (lossy when acquired)",
        uncompressed: "uncompressed",
        useUncompressed: "Send original values uncompressed",
        useCompressed: "Send original values losslessly compressed",
      };
}
