"use strict";
(function () {
  var list = document.getElementById("services"), bar = document.getElementById("bar"), more = document.getElementById("more"), lead = document.getElementById("lead");
  function cell(tag, text) { var e = document.createElement(tag); e.textContent = text; return e; }
  function why(s) {
    if (s.waiting_for && s.waiting_for.length) return "waits for " + s.waiting_for.join(", ");
    return s.reason || (s.state !== "ready" && s.loss) || "";
  }
  function left(n) { return n < 90 ? n + " seconds" : Math.round(n / 60) + " minutes"; }
  function draw(st) {
    var rows = st.services.map(function (s) {
      var li = document.createElement("li");
      li.className = s.state;
      li.append(cell("b", s.name), cell("i", s.state), cell("span", why(s)));
      return li;
    });
    list.replaceChildren.apply(list, rows);
    bar.hidden = rows.length === 0;
    bar.max = rows.length || 1;
    bar.value = st.services.filter(function (s) { return s.state === "ready"; }).length;
    if (st.message) lead.textContent = st.message;
    if (!st.alive) more.textContent = "The supervisor has not been heard of for a while. On its machine, type: sourcegraph status";
    else more.textContent = st.remaining_seconds > 0 ? "About " + left(st.remaining_seconds) + " left." : "";
  }
  function ask() {
    fetch("/-/appliance/status", {cache: "no-store"}).then(function (r) { return r.json(); }).then(function (st) {
      if (st.mode === "proxy") { location.reload(); return; }
      draw(st);
      setTimeout(ask, 1000);
    }).catch(function () { setTimeout(ask, 1000); });
  }
  setTimeout(ask, 300);
})();
