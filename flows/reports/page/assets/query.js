"use strict";
/* SQL on the publication that this page is part of, by DuckDB in a worker of the browser. */
(() => {
  const MOST_ROWS = 1000;
  const MOST_TRIES = 3;
  const DATABASE = new URL("../hashpivot.duckdb", location.href).href;
  const NUMBERS = /^(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT|U[A-Z]*INT.*|FLOAT|DOUBLE|DECIMAL.*)$/;
  const INEXACT = /^(FLOAT|DOUBLE)$/;
  const READING = "SELECT, FROM, WITH, DESCRIBE, SHOW or SUMMARIZE";
  const FORMULA = /^[=+\-@\t\r]/;
  const element = (id) => document.getElementById(id);
  const sql = element("sql");
  let engine = null;
  let result = null;
  let running = 0;

  function state(text) {
    element("status").textContent = text;
  }

  function fail(text) {
    element("error").textContent = text;
    element("error").hidden = text === "";
  }

  /* A file that is stored compressed; a server that says so has let the browser decompress it already. */
  async function unpacked(name, type) {
    const response = await fetch(name);
    if (!response.ok) throw new Error(`${name}: found ${response.status}, expected the file beside this page`);
    const stored = await response.blob();
    const [first, second] = new Uint8Array(await stored.slice(0, 2).arrayBuffer());
    const isPacked = first === 0x1f && second === 0x8b;
    const stream = isPacked ? stored.stream().pipeThrough(new DecompressionStream("gzip")) : stored.stream();
    return URL.createObjectURL(new Blob([await new Response(stream).arrayBuffer()], { type }));
  }

  /* What tells one database of a publication from the next one under the same address. */
  async function edition() {
    const response = await fetch(DATABASE, { method: "HEAD", cache: "no-store" });
    if (!response.ok) throw new Error(`${DATABASE}: found ${response.status}, expected the database of the publication`);
    return ["etag", "last-modified", "content-length"].map((name) => response.headers.get(name)).join(" ");
  }

  /* The worker is made from a blob, so that the policy of this page holds in it: it can fetch from nowhere else. */
  async function started() {
    state("Fetching DuckDB ...");
    const [program, worker] = await Promise.all([
      unpacked("duckdb.wasm.gz", "application/wasm"), unpacked("duckdb-worker.js.gz", "text/javascript"),
    ]);
    const database = new duckdb.AsyncDuckDB(new duckdb.VoidLogger(), new Worker(worker));
    await database.instantiate(program);
    URL.revokeObjectURL(program);
    URL.revokeObjectURL(worker);
    await database.open({
      filesystem: { reliableHeadRequests: true, allowFullHTTPReads: true, forceFullHTTPReads: false },
    });
    const connection = await database.connect();
    await connection.query("set autoinstall_known_extensions = false; set autoload_known_extensions = false");
    return { database, connection, edition: null, opened: 0 };
  }

  async function attach(found) {
    const { database, connection } = engine;
    if (engine.edition !== null) {
      await connection.query(`use memory; detach publication`);
      await database.dropFile(`${engine.opened}.duckdb`);
    }
    engine.edition = null;
    engine.opened += 1;
    const file = `${engine.opened}.duckdb`;
    await database.registerFileURL(file, DATABASE, duckdb.DuckDBDataProtocol.HTTP, true);
    await connection.query(`attach '${file}' as publication (read_only)`);
    await connection.query("use publication");
    engine.edition = found;
  }

  const plainText = (column) => (column === null || column === undefined ? null : String(column));

  /* Names, types and rows as DuckDB writes them as text; at most `limit` rows. */
  async function selected(query, limit) {
    const { connection } = engine;
    // Compiled as it is, so that an error points into the query as it was written.
    await (await connection.prepare(query)).close();
    const described = await connection.query(`describe from (${query}\n)`).catch((error) => {
      if (!error.message.startsWith("Parser Error")) throw error;
      throw new Error(`found ${query.split(/\s/, 1)[0]}, expected one statement that reads: ${READING}`);
    });
    const columns = described.toArray().map((row) => ({ name: row.column_name, type: row.column_type }));
    const bound = limit === null ? "" : `limit ${limit}`;
    const found = await connection.query(`select columns(*)::varchar from (${query}\n) ${bound}`);
    const vectors = columns.map((_, at) => found.getChildAt(at));
    const rows = Array.from({ length: found.numRows }, (_, row) => vectors.map((each) => plainText(each.get(row))));
    return { columns, rows };
  }

  /* Rows of one publication: where another one was published meanwhile, they are read again from that. */
  async function consistent(query, limit) {
    engine ??= await started();
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const before = await edition();
      if (engine.edition !== before) await attach(before);
      state("Running ...");
      let found = null;
      let error = null;
      try {
        found = await selected(query, limit);
      } catch (caught) {
        error = caught;
      }
      if (await edition() === before) {
        if (error) throw error;
        return found;
      }
    }
    throw new Error("found a new publication at each of three tries, expected one that stays; run the query again");
  }

  function cleaned(text) {
    return text.trim().replace(/(;\s*)+$/, "");
  }

  async function during(work) {
    const mine = running += 1;
    fail("");
    element("run").disabled = true;
    element("stop").disabled = false;
    const began = performance.now();
    try {
      const found = await work();
      return mine === running ? { found, seconds: (performance.now() - began) / 1000 } : null;
    } catch (error) {
      if (mine === running) {
        state("");
        fail(once(error.message));
      }
      return null;
    } finally {
      if (mine === running) idle();
    }
  }

  /* The message without the line of the query that it repeats. */
  function once(message) {
    const parts = message.split("\n\nLINE ");
    return parts.filter((part, at) => part.trimEnd() !== parts[at - 1]?.trimEnd()).join("\n\nLINE ").trimEnd();
  }

  function idle() {
    element("run").disabled = false;
    element("stop").disabled = true;
  }

  function stop() {
    running += 1;
    engine?.database.terminate();
    engine = null;
    idle();
    state("Stopped.");
  }

  async function run() {
    const query = cleaned(sql.value);
    if (element("run").disabled || query === "") return;
    history.replaceState(null, "", `#sql=${encodeURIComponent(query)}`);
    const done = await during(() => consistent(query, MOST_ROWS + 1));
    if (done === null) return element("rows").replaceChildren();
    result = { query, ...done.found };
    const isCut = result.rows.length > MOST_ROWS;
    show(result.columns, result.rows.slice(0, MOST_ROWS));
    const count = Math.min(result.rows.length, MOST_ROWS).toLocaleString("en-US");
    const rows = isCut ? `The first ${count} rows` : `${count} ${result.rows.length === 1 ? "row" : "rows"}`;
    state(`${rows} in ${done.seconds.toFixed(1)} s.${isCut ? " The CSV has all." : ""}`);
    element("csv").disabled = element("link").disabled = false;
  }

  function show(columns, rows) {
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const { name, type } of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = name;
      cell.title = type;
      if (NUMBERS.test(type)) cell.className = "n";
      head.append(cell);
    }
    const body = table.createTBody();
    for (const row of rows) {
      const line = body.insertRow();
      row.forEach((value, at) => fill(line.insertCell(), value, columns[at].type));
    }
    element("rows").replaceChildren(table);
  }

  function fill(cell, value, type) {
    if (NUMBERS.test(type)) cell.className = "n";
    if (value === null) {
      cell.textContent = "NULL";
      cell.classList.add("dim");
      return;
    }
    cell.textContent = INEXACT.test(type) ? rounded(value) : value;
    if (cell.textContent !== value) cell.title = value;
  }

  function rounded(text) {
    const value = Number(text);
    if (!Number.isFinite(value)) return text;
    const size = Math.abs(value);
    if (size >= 1e15 || (size > 0 && size < 1e-6)) return String(Number(value.toPrecision(6)));
    return value.toLocaleString("en-US", { maximumSignificantDigits: Math.max(6, Math.ceil(Math.log10(size + 1))) });
  }

  function quoted(text) {
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  /* A spreadsheet takes such text for a formula. */
  function harmless(text) {
    return FORMULA.test(text) ? `'${text}` : text;
  }

  function asCsv({ columns, rows }) {
    const lines = [columns.map(({ name }) => quoted(harmless(name)))];
    for (const row of rows) {
      lines.push(row.map((value, at) => {
        if (value === null) return "";
        return quoted(NUMBERS.test(columns[at].type) ? value : harmless(value));
      }));
    }
    return lines.map((cells) => `${cells.join(",")}\n`).join("");
  }

  async function download() {
    const done = await during(() => consistent(result.query, null));
    if (done === null) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([asCsv(done.found)], { type: "text/csv" }));
    link.download = "hashpivot-query.csv";
    link.click();
    URL.revokeObjectURL(link.href);
    state(`${done.found.rows.length.toLocaleString("en-US")} rows downloaded.`);
  }

  async function copyLink() {
    await navigator.clipboard.writeText(location.href);
    state("The address of this query is in the clipboard.");
  }

  if (location.protocol === "file:") {
    element("from-file").hidden = false;
    return;
  }
  idle();
  element("run").addEventListener("click", run);
  element("stop").addEventListener("click", stop);
  element("csv").addEventListener("click", download);
  element("link").addEventListener("click", copyLink);
  sql.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    run();
  });
  for (const button of document.querySelectorAll(".example")) {
    button.addEventListener("click", () => {
      sql.value = button.dataset.query;
      run();
    });
  }
  // A link fills the query in; only whoever reads it runs it.
  const linked = new URLSearchParams(location.hash.slice(1)).get("sql");
  if (linked !== null) sql.value = linked;
})();
