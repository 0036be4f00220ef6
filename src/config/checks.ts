/** Whether what `doctor` looks at is looked at once the program runs. */
import { RUN } from "./headings.ts";
import { negatedFlag, type Values } from "./option.ts";

export const CHECK_OPTIONS = {
  /** Look, and warn. */
  checks: negatedFlag({
    name: "no-checks",
    description: "do not look, once it runs, whether resolvers answer and the like (see doctor)",
    heading: RUN,
  }),
};

export type CheckOptions = Values<typeof CHECK_OPTIONS>;
