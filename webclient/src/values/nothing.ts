// Stands for Node's modules, which the decoder names and uses only under Node.
export default {};
