// clerk-js puts the address to return to behind the `#`, which no server sees.
const names = ["sign_in_force_redirect_url", "redirect_url", "sign_in_fallback_redirect_url"];
const query = new URLSearchParams(location.hash.replace(/^#\/?\??/, ""));
const address = names.map((name) => query.get(name)).find(Boolean);
if (address) {
  for (const input of document.querySelectorAll("[name=redirect_url]")) {
    input.value = new URL(address, document.referrer || location.href).href;
  }
}
