"use strict";

const $ = (selector, from = document) => from.querySelector(selector);

// element makes <name class=…> with text and children; nothing that came from outside is ever read as HTML.
function element(name, className, ...children) {
	const e = document.createElement(name);
	if (className) e.className = className;
	e.append(...children);
	return e;
}

/* Keys, on every page */

document.addEventListener("keydown", (event) => {
	if (event.ctrlKey || event.metaKey || event.altKey) return;
	const box = $("#q");
	const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
	if (event.key === "/" && !typing && box) {
		event.preventDefault();
		box.focus();
		box.setSelectionRange(box.value.length, box.value.length);
	} else if (event.key === "Escape") {
		if (typing) document.activeElement.blur();
		if (window.demoSearch) window.demoSearch.stop();
	} else if (!typing && (event.key === "j" || event.key === "ArrowDown") || event.key === "ArrowDown" && document.activeElement === box) {
		if (move(1)) event.preventDefault();
	} else if (!typing && (event.key === "k" || event.key === "ArrowUp")) {
		if (move(-1)) event.preventDefault();
	}
});

// move focuses the next or previous result; above the first is the search box.
function move(step) {
	const results = [...document.querySelectorAll("#results a.result")];
	if (!results.length) return false;
	const at = results.indexOf(document.activeElement);
	if (at < 0 && step < 0) return false;
	if (at + step < 0) {
		$("#q").focus();
		return true;
	}
	const next = results[Math.min(at + step, results.length - 1)];
	next.focus({ preventScroll: true });
	next.scrollIntoView({ block: "nearest" });
	return true;
}

/* Search */

const shownMax = 1000; // matches drawn; more are counted only

class Search {
	constructor() {
		this.results = $("#results");
		this.status = $("#status");
		this.alert = $("#alert");
		this.help = $("#help");
	}

	start(query) {
		this.stop();
		this.results.replaceChildren();
		this.say(this.alert, "");
		this.help.hidden = query.trim() !== "";
		this.say(this.status, "");
		document.title = (query.trim() || "Search") + " – demo";
		if (!query.trim()) return;
		this.count = 0;
		this.began = performance.now();
		this.say(this.status, element("span", "busy", "Searching…"));
		const source = new EventSource("/.api/search/stream?v=V3&display=" + shownMax + "&q=" + encodeURIComponent(query));
		this.source = source;
		const on = (name, handle) => source.addEventListener(name, (e) => { if (this.source === source) handle(JSON.parse(e.data)); });
		on("matches", (matches) => this.results.append(...matches.map(draw)));
		on("progress", (p) => this.progress(p));
		on("alert", (a) => this.warn(a.title, a.description));
		on("done", () => this.stop());
		source.onerror = () => {
			if (this.source !== source) return;
			const refused = source.readyState === EventSource.CLOSED;
			this.stop();
			if (refused) this.refused(query);
			else this.warn("The connection was lost", "The results may be incomplete. Search again.");
		};
	}

	// refused finds out why the server would not stream.
	async refused(query) {
		const answer = await fetch("/.api/search/stream?v=V3&display=0&q=" + encodeURIComponent(query)).catch(() => null);
		if (answer && answer.status === 401) location.href = "/sign-in?returnTo=" + encodeURIComponent(location.pathname + location.search);
		else this.warn("The search did not start", answer && !answer.ok ? (await answer.text()).trim() : "Try again in a moment.");
		if (answer && answer.body && !answer.bodyUsed) answer.body.cancel();
	}

	stop() {
		if (!this.source) return;
		this.source.close();
		this.source = null;
		const busy = $(".busy", this.status);
		if (busy) busy.replaceWith(busy.textContent.replace("Searching…", "Stopped") );
	}

	progress(p) {
		const parts = [p.matchCount + (p.skipped.some((s) => s.reason === "shard-match-limit") ? "+" : "") + (p.matchCount === 1 ? " match" : " matches") +
			" in " + p.repositoriesCount + (p.repositoriesCount === 1 ? " repository" : " repositories"), (p.durationMs / 1000).toFixed(2) + " s"];
		if (p.matchCount > shownMax) parts.push("the first " + shownMax + " shown");
		for (const s of p.skipped) parts.push(s.title);
		const text = element("span", p.done ? "" : "busy", parts.join(" · "));
		text.title = p.skipped.map((s) => s.message).join("\n");
		this.say(this.status, text);
	}

	warn(title, description) {
		this.say(this.alert, element("strong", "", title), description || "");
		if ($(".busy", this.status)) this.say(this.status, "");
	}

	say(where, ...what) {
		where.replaceChildren(...what);
		where.hidden = !where.textContent;
	}
}

// draw makes one file or repository with its lines.
function draw(match) {
	const box = element("section", "file");
	const name = match.type === "repo" ? element("b", "", match.repository) : element("span", "", match.repository + " › ", element("b", "", match.path));
	const link = element("a", match.lineMatches ? "" : "result", name);
	link.href = match.url;
	box.append(element("h2", "", link, match.branches ? element("span", "dim", "  @ " + match.branches.join(", ")) : ""));
	for (const line of match.lineMatches || []) {
		const hit = element("a", "hit result", element("span", "n", String(line.lineNumber + 1)), element("span", "t", ...marked(line)));
		hit.href = match.url + "#L" + (line.lineNumber + 1);
		box.append(hit);
	}
	return box;
}

// marked cuts a line at its matches; offsets count characters, not UTF-16 units.
function marked(line) {
	const characters = Array.from(line.line);
	const parts = [];
	let at = 0;
	for (const [offset, length] of line.offsetAndLengths) {
		parts.push(characters.slice(at, offset).join(""), element("mark", "", characters.slice(offset, offset + length).join("")));
		at = offset + length;
	}
	parts.push(characters.slice(at).join(""));
	return parts;
}

if ($("#results")) {
	const search = window.demoSearch = new Search();
	const box = $("#q");
	$("form.search").addEventListener("submit", (event) => {
		event.preventDefault();
		history.pushState(null, "", "/search?q=" + encodeURIComponent(box.value));
		if (box.value.trim()) box.blur(); // so that j and k move at once
		search.start(box.value);
	});
	const open = () => {
		box.value = new URLSearchParams(location.search).get("q") || "";
		search.start(box.value);
	};
	addEventListener("popstate", open);
	addEventListener("pagehide", () => search.stop());
	open();
}

/* Forms that send JSON */

for (const form of document.querySelectorAll("form[data-post]")) {
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const button = $("button", form), problem = $(".alert", form);
		button.disabled = true;
		problem.hidden = true;
		try {
			const answer = await fetch(form.dataset.post, {
				method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(Object.fromEntries(new FormData(form))),
			});
			if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
			location.href = form.dataset.next;
		} catch (error) {
			problem.textContent = error.message;
			problem.hidden = false;
			button.disabled = false;
		}
	});
}

for (const form of document.querySelectorAll("form[data-confirm]")) {
	form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); });
}

/* Pages that wait for something */

const waiting = $("[data-refresh]");
if (waiting) {
	const again = () => {
		const active = document.activeElement;
		if (active && active.tagName === "INPUT" && active.value) setTimeout(again, 1000); // not under someone's hands
		else location.reload();
	};
	setTimeout(again, Number(waiting.dataset.refresh));
}
