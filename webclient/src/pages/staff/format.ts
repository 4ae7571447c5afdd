// How staff see ages and times.

export function age(birth: string | null, at: string): number | null {
  if (!birth) return null;
  const [born, then] = [new Date(birth), new Date(at)];
  let years = then.getFullYear() - born.getFullYear();
  const before =
    then.getMonth() < born.getMonth() ||
    (then.getMonth() === born.getMonth() && then.getDate() < born.getDate());
  if (before) years -= 1;
  return years >= 0 && years < 150 ? years : null;
}

export function dateTime(text: string): string {
  const date = new Date(text);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
