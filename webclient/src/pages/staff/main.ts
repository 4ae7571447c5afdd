import { createApp } from "vue";
import App from "./App.vue";
import "./staff.css";

createApp(App).mount("#app");
