// Reads the bytes that player.py packs: uint32 header length, JSON header, then pictures and float32 values.

function readHeader(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0, true);
  return { header: JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length))), body: bytes.subarray(4 + length) };
}

// Decodes everything before anything is shown, so that one film replaces another between two screen refreshes.
// Panes that the film before shows too, by their digest, keep its pictures: a slider changes half of them.
async function decodeFilm({ header, body }, before) {
  const kept = new Map((before?.panes ?? []).filter((pane) => pane.digest).map((pane) => [pane.digest, pane.sheets]));
  const part = ([offset, length]) => body.subarray(offset, offset + length);
  const values = (span) => new Float32Array(part(span).slice().buffer);
  const traces = header.traces.map((trace) => ({
    ...trace,
    series: trace.series.map((series) => ({
      ...series,
      values: values(series.values),
      spread: series.spread && values(series.spread),
    })),
  }));
  const panes = await Promise.all(
    header.panes.map(async (pane) => ({
      ...pane,
      sheets:
        kept.get(pane.digest) ??
        (await Promise.all(
          pane.sheets.map(async ({ png, columns }) => ({
            picture: await createImageBitmap(new Blob([part(png)], { type: "image/png" })),
            columns,
          }))
        )),
    }))
  );
  return { ...header, traces, panes };
}

function picturesOf(film) {
  return (film?.panes ?? []).flatMap((pane) => pane.sheets.map((sheet) => sheet.picture));
}

// Frees the pictures of a film but those that another one shows.
function releaseFilm(film, shown) {
  const kept = new Set(picturesOf(shown));
  for (const picture of picturesOf(film)) if (!kept.has(picture)) picture.close();
}

// A sheet holds `sheetFrames` frames row by row, `columns` in a row.
function drawFrame(context, { width, height, sheets }, frame, sheetFrames) {
  const { picture, columns } = sheets[Math.floor(frame / sheetFrames)];
  const cell = frame % sheetFrames;
  const x = (cell % columns) * width;
  const y = Math.floor(cell / columns) * height;
  context.drawImage(picture, x, y, width, height, 0, 0, width, height);
}
