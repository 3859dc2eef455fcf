import Link from "next/link";

export default function Page() {
  return (
    <>
      <h1>Notes</h1>
      <p>
        Every note has one owner, whom Django knows from the first request on:{" "}
        <Link href="/notes">your notes</Link>.
      </p>
    </>
  );
}
