import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./components/App";
import { readStart } from "./start";
import "./styles/base.css";
import "./styles/header.css";
import "./styles/board.css";
import "./styles/drawer.css";
import "./styles/pages.css";

const element = document.getElementById("page");
if (!element) throw new Error("The page has no #page.");
createRoot(element).render(
  <StrictMode>
    <App start={readStart()} />
  </StrictMode>,
);
