import { ClerkProvider } from "@clerk/nextjs";
import { type ReactNode, Suspense } from "react";
import { Providers } from "./providers";
import { Users } from "./users";

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        {children}
        <Suspense>
          <ClerkProvider>
            <Providers>
              <Users />
            </Providers>
          </ClerkProvider>
        </Suspense>
      </body>
    </html>
  );
}
