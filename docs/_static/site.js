// A button that copies a block. Prompts and what commands print stay behind.
document.addEventListener("DOMContentLoaded", () => {
  if (!navigator.clipboard) return;
  for (const block of document.querySelectorAll("div.highlight")) {
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = "copy";
    button.onclick = async () => {
      let text = block.querySelector("pre").textContent;
      if (block.parentElement.classList.contains("highlight-console")) {
        const lines = text.split("\n").filter((line) => line.startsWith("$ "));
        text = lines.map((line) => line.slice(2)).join("\n") + "\n";
      }
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    };
    block.append(button);
  }
});
