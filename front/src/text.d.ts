/** A module built for itself, as text: what a worker runs. */
declare module "*?text" {
  const text: string;
  export default text;
}
