const PATHS = {
  calendar: "M4 6.5h12M6.5 3v2.5M13.5 3v2.5M5 4.5h10a1 1 0 0 1 1 1V15a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V5.5a1 1 0 0 1 1-1Z",
  clock: "M10 6v4.2l2.6 1.6M10 16.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13Z",
  check: "m5 10.5 3.2 3.2L15 6.8",
  comment: "M4.5 4.5h11a1 1 0 0 1 1 1v6.5a1 1 0 0 1-1 1H9.5L6 16v-3H4.5a1 1 0 0 1-1-1V5.5a1 1 0 0 1 1-1Z",
  close: "m5.5 5.5 9 9m0-9-9 9",
  list: "M8.5 6h7M8.5 10h7M8.5 14h7M4.5 6h.01M4.5 10h.01M4.5 14h.01",
  chevron: "m6 8 4 4 4-4",
  edit: "m4.5 15.5.7-3L13 4.7l2.3 2.3-7.8 7.8-3 .7Z",
  leave: "M8 4H5a1 1 0 0 0-1 1v10a1 1 0 0 0 1 1h3M12.5 13l3-3-3-3M15 10H8",
  search: "M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Zm4-1.5 3.5 3.5",
  text: "M4.5 6h11M4.5 10h11M4.5 14h6",
};

/** A line drawing of one letter's height; what it means stands in the text beside it. */
export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
