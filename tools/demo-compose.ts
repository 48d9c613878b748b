import { imageName } from "./testbed/image.ts";

/** Where the file lies in each host, as a checkout of the application would. */
export const composeDirectory = "/root/app";

/**
 * An application of two databases: one on the hosts' own disks, one on the storage network. A
 * volume with options is external: Compose 1 compares `driver_opts` with what its own engine was told at
 * the creation, and an engine that met the volume later was told nothing.
 */
export const composeFile = `version: "3.8"
services:
  cache:
    image: ${imageName}
    command: redis-server --dir /data --appendonly yes
    volumes: ["sessions:/data"]
  db:
    image: ${imageName}
    command: serve-postgres /data
    volumes: ["orders:/data"]
volumes:
  sessions:
    name: sessions
    driver: flocker
  orders:
    external: true
`;
