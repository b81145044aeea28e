/** The state that `BoardSerializer` gives (demo/boards/serializers.py). */

export interface Person {
  id: number;
  username: string;
  name: string;
}

export type Color = "red" | "orange" | "yellow" | "green" | "teal" | "blue" | "violet" | "pink" | "gray";

export interface Label {
  id: number;
  name: string;
  color: Color;
}

export interface ChecklistItem {
  id: number;
  text: string;
  done: boolean;
}

export interface Comment {
  id: number;
  author: Person;
  text: string;
  /** ISO 8601 with an offset. */
  created_at: string;
}

export interface Task {
  id: number;
  title: string;
  description: string;
  /** `2026-05-04`, without a time. */
  due_date: string | null;
  /** Hours as a decimal, in a string as DRF gives it: `"7.5"`. */
  estimate: string | null;
  assignee: Person | null;
  labels: Label[];
  checklist: ChecklistItem[];
  comments: Comment[];
}

export interface Column {
  id: number;
  name: string;
  tasks: Task[];
}

export interface Board {
  id: number;
  name: string;
  purpose: string;
  members: Person[];
  labels: Label[];
  columns: Column[];
}
