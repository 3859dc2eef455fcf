/** The options of an infinite query over pages with numbers: `useInfiniteQuery({ ...listUsersInfiniteOptions({ client }), ...byPage })`. */
export const byPage = {
  initialPageParam: 1,
  /** Return the number of the next page, or undefined after the last one. */
  getNextPageParam: ({ next }: { next?: string | null }): number | undefined => {
    const page = /[?&]page=(\d+)/.exec(next ?? "")?.[1];
    return page === undefined ? undefined : Number(page);
  },
};
