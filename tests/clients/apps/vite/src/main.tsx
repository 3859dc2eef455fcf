import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { Copied } from "./Copied";

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
    <Copied />
  </StrictMode>,
);
