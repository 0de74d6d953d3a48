// The switch between light, dark and what the system has.  The server reads the cookie, so that a
// page comes in the right colours at once.
const NAMES = { "": "as the system", light: "light", dark: "dark" };
const NEXT = { "": "dark", dark: "light", light: "" };

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  const show = () => {
    const theme = document.documentElement.dataset.theme ?? "";
    button.textContent = { "": "◐", light: "☀", dark: "☾" }[theme];
    button.setAttribute("aria-label", `Colours: ${NAMES[theme]}. Change`);
    button.title = `Colours: ${NAMES[theme]}`;
  };
  button.addEventListener("click", () => {
    const theme = NEXT[document.documentElement.dataset.theme ?? ""];
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    const age = theme ? 31536000 : 0;
    document.cookie = `galaxy-theme=${theme}; path=/; max-age=${age}; samesite=strict`;
    show();
  });
  button.hidden = false;
  show();
}
