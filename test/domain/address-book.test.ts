import { type Ip, parseIp } from 'fleetbeat';
import { describe, expect, test } from 'vitest';
import { createAddressBook, type Tenant } from '../../src/domain/address-book.ts';

const ip = (text: string): Ip => {
  const parsed = parseIp(text);
  if (parsed === null) throw new Error(`${text} is no ip`);
  return parsed;
};
const HERE = ip('10.0.0.1');
const THERE = ip('10.0.0.2');

const tenant = (): Tenant => ({ ip: null, reported: false });

describe('an address book', () => {
  test('finds who reports an address, and nobody elsewhere', () => {
    const book = createAddressBook();
    const one = tenant();
    book.book(one, HERE);
    expect(book.at(HERE)).toBe(one);
    expect(book.at(THERE)).toBe('none');
  });

  test('lets who moves leave the old address', () => {
    const book = createAddressBook();
    const one = tenant();
    book.book(one, HERE);
    book.book(one, THERE);
    expect(book.at(HERE)).toBe('none');
    expect(book.at(THERE)).toBe(one);
  });

  test('remembers the address of who reports none, until another reports it', () => {
    const book = createAddressBook();
    const [one, other] = [tenant(), tenant()];
    book.book(one, HERE);
    book.book(one, null);
    expect(book.at(HERE)).toBe(one);
    book.book(other, HERE);
    expect(book.at(HERE)).toBe(other);
    expect(one.ip).toBeNull();
  });

  test('is in conflict where two report one address, until one of them leaves', () => {
    const book = createAddressBook();
    const [one, other] = [tenant(), tenant()];
    book.book(one, HERE);
    book.book(other, HERE);
    expect(book.at(HERE)).toBe('conflict');
    book.strike(one);
    expect(book.at(HERE)).toBe(other);
    expect(one.ip).toBeNull();
  });

  test('counts who reports the same again once', () => {
    const book = createAddressBook();
    const [one, other] = [tenant(), tenant()];
    for (let i = 0; i < 3; i++) book.book(one, HERE);
    book.book(other, HERE);
    book.book(one, HERE);
    book.strike(other);
    expect(book.at(HERE)).toBe(one);
  });

  test('forgets who is struck out, also twice', () => {
    const book = createAddressBook();
    const one = tenant();
    book.book(one, HERE);
    book.strike(one);
    book.strike(one);
    expect(book.at(HERE)).toBe('none');
  });
});
