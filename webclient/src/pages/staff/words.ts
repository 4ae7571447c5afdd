import { ref } from "vue";

// Texts of the staff pages, Chinese first.
const WORDS = {
  product: ["云胶片", "CloudFilm"],
  login: ["登录", "Log in"],
  username: ["用户名", "User name"],
  password: ["密码", "Password"],
  oldPassword: ["当前密码", "Current password"],
  newPassword: ["新密码（至少10位）", "New password (at least 10 characters)"],
  changeFirst: ["首次登录，请先修改初始密码", "First login: please change the initial password"],
  change: ["修改并继续", "Change and continue"],
  logout: ["退出", "Log out"],
  studies: ["检查", "Studies"],
  search: ["姓名 / 拼音 / 患者编号 / 检查号", "Name, pinyin, patient ID or accession number"],
  all: ["全部", "All"],
  from: ["从", "From"],
  to: ["到", "To"],
  clear: ["清除条件", "Clear filters"],
  refresh: ["刷新", "Refresh"],
  name: ["姓名", "Name"],
  sexAge: ["性别/年龄", "Sex/age"],
  id: ["患者编号", "Patient ID"],
  accession: ["检查号", "Accession"],
  modality: ["类型", "Modality"],
  item: ["部位/项目", "Part/item"],
  time: ["检查时间", "Study time"],
  images: ["影像", "Images"],
  unit: ["幅", ""],
  view: ["看影像", "View"],
  volume: ["三维", "3D"],
  fusion: ["融合", "Fusion"],
  share: ["分享", "Share"],
  arriving: ["影像正在上传", "Arriving"],
  conflict: ["有冲突影像", "Conflicts"],
  more: ["加载更多", "Load more"],
  empty: ["暂无检查记录，检查完成后约1分钟可见", "No studies yet; they appear about a minute after the exam"],
  filtered: ["没有符合条件的检查", "No study matches"],
  failed: ["打开失败，不是您的操作问题", "Something failed; it is not your doing"],
  retry: ["重试", "Try again"],
  reference: ["编号", "Reference"],
  shareTitle: ["分享影像", "Share images"],
  term: ["有效期", "Valid for"],
  day1: ["1天", "1 day"],
  day7: ["7天", "7 days"],
  day30: ["30天", "30 days"],
  hide: ["隐去姓名和医院", "Hide name and hospital"],
  create: ["生成链接", "Create link"],
  copyLink: ["复制链接", "Copy link"],
  copyCode: ["复制验证码", "Copy code"],
  copied: ["已复制", "Copied"],
  code: ["验证码", "Code"],
  codeApart: ["请分开告知链接和验证码", "Tell the link and the code separately"],
  shared: ["已有的分享", "Existing shares"],
  stop: ["停止分享", "Stop sharing"],
  stopped: ["已停止", "Stopped"],
  expired: ["已过期", "Expired"],
  until: ["有效至", "Valid until"],
  opened: ["打开次数", "Opened"],
  close: ["关闭", "Close"],
  undo: ["撤销", "Undo"],
  stopping: ["将停止分享", "Sharing will stop"],
  language: ["EN", "中文"],
  male: ["男", "M"],
  female: ["女", "F"],
  years: ["岁", "y"],
  loading: ["正在加载", "Loading"],
} as const;

export type Word = keyof typeof WORDS;

const stored = document.cookie.match(/cloudfilm_lang=(zh|en)/)?.[1];
export const language = ref<"zh" | "en">(stored === "en" ? "en" : "zh");

export function t(word: Word): string {
  return WORDS[word][language.value === "en" ? 1 : 0];
}

export function switchLanguage(): void {
  language.value = language.value === "zh" ? "en" : "zh";
  // biome-ignore lint/suspicious/noDocumentCookie: cookieStore is not in the browsers this must serve
  document.cookie = `cloudfilm_lang=${language.value};path=/;max-age=31536000;samesite=lax`;
  document.documentElement.lang = language.value === "en" ? "en" : "zh-CN";
}
