/** Dates as people say them, in English as the rest of the page. */

const DAY = 24 * 60 * 60 * 1000;
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Whole days from today to a date without a time, in this device's time zone. */
export function daysUntil(date: string, now = new Date()): number {
  const today = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate());
  return Math.round((Date.parse(date) - today) / DAY);
}

export function dueText(date: string): string {
  const days = daysUntil(date);
  if (Math.abs(days) <= 1) return capitalized(relative.format(days, "day"));
  const moment = new Date(`${date}T12:00`);
  return (moment.getFullYear() === new Date().getFullYear() ? day : dayAndYear).format(moment);
}

/** How long ago: minutes, hours, days, and then the date. */
export function agoText(timestamp: string): string {
  const past = Date.parse(timestamp) - Date.now();
  if (past > -60_000) return "just now";
  if (past > -60 * 60_000) return relative.format(Math.round(past / 60_000), "minute");
  if (past > -DAY) return relative.format(Math.round(past / (60 * 60_000)), "hour");
  if (past > -7 * DAY) return relative.format(Math.round(past / DAY), "day");
  return dayAndYear.format(new Date(timestamp));
}

/** `"7.5"` → `7.5 h`, `"12.0"` → `12 h`. */
export function hoursText(hours: string | number): string {
  return `${Number(hours)} h`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
