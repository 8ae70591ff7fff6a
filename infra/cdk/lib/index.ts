export * from './code';
export * from './props';
export * from './state-machine';
export * from './stepwell';
