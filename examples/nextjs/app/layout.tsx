import { ClerkProvider } from "@clerk/nextjs";
import Link from "next/link";
import type { ReactNode } from "react";
import { proxyUrl } from "@/lib/clerk";
import { Accounts } from "./accounts";
import "./style.css";

export const metadata = { title: "Notes" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        {/* Without Clerk's ready-made components: the emulator has a sign-in page of its own. */}
        <ClerkProvider proxyUrl={proxyUrl} prefetchUI={false}>
          <header>
            <Link href="/">Home</Link> <Link href="/notes">Notes</Link> <Accounts />
          </header>
          <main>{children}</main>
        </ClerkProvider>
      </body>
    </html>
  );
}
