/**
 * Unpacks gzip or deflate (zlib). Written straight into the stream: on a page from the disk, WebKit lets a worker read
 * no Blob. Rejects where the bytes are broken.
 */
export async function inflate(
  bytes: Uint8Array<ArrayBuffer>,
  format: CompressionFormat,
): Promise<ArrayBuffer> {
  const { readable, writable } = new DecompressionStream(format);
  const writer = writable.getWriter();
  const written = Promise.all([writer.write(bytes), writer.close()]);
  const [buffer] = await Promise.all([new Response(readable).arrayBuffer(), written]);
  return buffer;
}
