// safetensors files of float32: the length of a JSON header, the header, and the numbers.

/** The tensors of a file: name -> Float32Array. */
export function readTensors(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  delete header.__metadata__;
  const numbers = ([start, end]) => new Float32Array(buffer.slice(8 + length + start, 8 + length + end));
  return Object.fromEntries(Object.entries(header).map(([name, { data_offsets }]) => [name, numbers(data_offsets)]));
}

/** A file of tensors, name -> { shape, data }, and of texts, name -> text. */
export function writeTensors(tensors, metadata) {
  const header = { __metadata__: metadata };
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, (end += data.byteLength)] };
  }
  let text = JSON.stringify(header).replace(/[^\x00-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  text = text.padEnd(Math.ceil(text.length / 8) * 8);
  const length = new BigUint64Array([BigInt(text.length)]);
  return new Blob([length, text, ...Object.values(tensors).map(({ data }) => data)]);
}
